// Package probe asks servers whether they serve: really serve, a request on the
// protocol that clients speak, not just an open port.
package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Temporal succeeds when the namespace can be described.
func Temporal(address, namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return fmt.Errorf("connect to temporal: %w", err)
		}
		defer connection.Close()
		_, err = workflowservice.NewWorkflowServiceClient(connection).DescribeNamespace(ctx,
			&workflowservice.DescribeNamespaceRequest{Namespace: namespace})
		if err != nil {
			return fmt.Errorf("describe namespace %s: %w", namespace, err)
		}
		return nil
	}
}

// HTTP succeeds when a GET answers 200.
func HTTP(url string) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("probe %s: %s", request.URL.Redacted(), response.Status)
		}
		return nil
	}
}

// AMQP succeeds when the broker answers the protocol header of AMQP 0-9-1 with
// a method frame, which is connection.start.
func AMQP(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("connect to broker: %w", err)
		}
		defer connection.Close()
		if deadline, ok := ctx.Deadline(); ok {
			if err := connection.SetDeadline(deadline); err != nil {
				return fmt.Errorf("connect to broker: %w", err)
			}
		}
		if _, err := connection.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
			return fmt.Errorf("greet broker: %w", err)
		}
		const methodFrame = 1
		answer := make([]byte, 1)
		if _, err := io.ReadFull(connection, answer); err != nil {
			return fmt.Errorf("await broker's greeting: %w", err)
		}
		if !bytes.Equal(answer, []byte{methodFrame}) {
			return fmt.Errorf("the broker greets with %q", answer)
		}
		return nil
	}
}

// All succeeds when each probe does.
func All(probes ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, probe := range probes {
			if err := probe(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}
