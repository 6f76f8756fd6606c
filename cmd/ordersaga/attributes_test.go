package main

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// attributeServer is the part of a Temporal server that manages search attributes.
type attributeServer struct {
	client.Client
	operatorservice.OperatorServiceClient
	list, add error
	listed    []string
	// recovers, when it is closed, ends the errors.
	recovers chan struct{}
}

func (o *attributeServer) OperatorService() operatorservice.OperatorServiceClient { return o }

func (o *attributeServer) failing(err error) error {
	select {
	case <-o.recovers:
		return nil
	default:
		return err
	}
}

func (o *attributeServer) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	answer := &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{}}
	for _, name := range o.listed {
		answer.CustomAttributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	return answer, o.failing(o.list)
}

func (o *attributeServer) AddSearchAttributes(context.Context, *operatorservice.AddSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.AddSearchAttributesResponse, error) {
	return &operatorservice.AddSearchAttributesResponse{}, o.failing(o.add)
}

func registration(t *testing.T, o *attributeServer) (*attributeRegistration, *logs) {
	said := &logs{}
	r := &attributeRegistration{temporal: o, namespace: "shop", where: "here", logger: slog.New(slog.NewTextHandler(said, nil)), patience: time.Millisecond}
	t.Cleanup(r.close)
	return r, said
}

// TestSearchAttributesThatAreRefusedDoNotKeepFromStarting, and the log says what an administrator has to do.
func TestSearchAttributesThatAreRefusedDoNotKeepFromStarting(t *testing.T) {
	const remedy = "temporal operator search-attribute create --namespace shop --name CustomerId --type Keyword --name NeedsAttention --type Bool"
	for name, o := range map[string]*attributeServer{
		"list denied":          {list: serviceerror.NewPermissionDenied("no", "")},
		"list not implemented": {list: serviceerror.NewUnimplemented("no")},
		"add denied":           {listed: []string{"OrderStatus"}, add: serviceerror.NewPermissionDenied("no", "")},
	} {
		t.Run(name, func(t *testing.T) {
			r, said := registration(t, o)
			r.patience = testenv.Patience
			require.NoError(t, r.run(t.Context()))
			require.Contains(t, said.String(), remedy)
			require.Nil(t, r.stop, "nothing is tried again")
		})
	}
}

// TestSearchAttributesThatAreNotAvailableAreRegisteredLater: the service starts, and goes on trying.
func TestSearchAttributesThatAreNotAvailableAreRegisteredLater(t *testing.T) {
	o := &attributeServer{list: serviceerror.NewUnavailable("visibility is down"), recovers: make(chan struct{})}
	r, said := registration(t, o)
	require.NoError(t, r.run(t.Context()))
	require.Contains(t, said.String(), "starting without knowing")
	close(o.recovers)
	r.done.Wait()
}

func TestRegistrationEndsWithItsContext(t *testing.T) {
	o := &attributeServer{list: serviceerror.NewUnavailable("visibility is down")}
	r, _ := registration(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.run(ctx), context.Canceled)
}

// logs collects what was logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
