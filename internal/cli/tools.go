package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/service"
)

func rebuildCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Rebuild the lists of orders and other sagas from the event log, or show what differs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, service.NewLogger, service.Parts{}, func(ctx context.Context, s *service.Service) error {
				started, damaged := time.Now(), 0
				var compare func(readmodel.Difference)
				if dryRun {
					compare = func(d readmodel.Difference) { fmt.Fprintln(cmd.OutOrStdout(), printable(d.String())) }
				}
				err := s.Rebuild(ctx, func(done int) {
					if done%1000 == 0 {
						fmt.Fprintf(cmd.ErrOrStderr(), "%d orders\n", done)
					}
				}, func(stream string, rebuilt readmodel.Rebuilt) {
					damaged += printRebuilt(cmd.OutOrStdout(), stream, rebuilt, started, dryRun)
					started = time.Now()
				}, compare)
				if err == nil && damaged > 0 {
					err = fault.New(fault.Corrupt, "%d streams are damaged", damaged)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing; show each entry that differs from the log")
	return cmd
}

// printRebuilt says what a rebuild did, and returns how many streams are damaged.
func printRebuilt(out io.Writer, kind string, r readmodel.Rebuilt, started time.Time, dryRun bool) int {
	format := "%d %s streams, %d documents written, %d removed, %d streams damaged, in %s\n"
	if dryRun {
		format = "%d %s streams, %d documents differ, %d to remove, %d streams damaged, in %s\n"
	}
	fmt.Fprintf(out, format,
		r.Streams, kind, r.Written, r.Removed, r.Failed, time.Since(started).Round(time.Millisecond))
	for _, f := range r.Failures {
		fmt.Fprintf(out, "  %s: %v\n", f.Stream, f.Err)
	}
	return r.Failed
}

// healthTimeout bounds the question to the running process.
const healthTimeout = 5 * time.Second

// healthCommand asks a running process on this host whether it is ready: for container health checks, whose
// images have no curl.
func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Check whether the process on HTTP_ADDR is ready", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(os.Environ())
			if err != nil {
				return err
			}
			host, port, err := net.SplitHostPort(cfg.HTTPAddr)
			if err != nil {
				return fmt.Errorf("HTTP_ADDR: %w", err)
			}
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			scheme, transport := "http", &http.Transport{DisableKeepAlives: true}
			if cfg.HTTPTLSCertFile != "" {
				// The certificate is for the service's name, not for this address, and the question is no secret.
				scheme = "https"
				transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
			}
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
			if err != nil {
				return err
			}
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("not ready: %s", response.Status)
			}
			return nil
		},
	}
}
