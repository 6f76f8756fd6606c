package service

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

func registration(t *testing.T, o *attributeServer) (*Service, *logs) {
	t.Helper()
	logged := &logs{}
	s := &Service{temporal: o, logger: slog.New(slog.NewTextHandler(logged, nil))}
	s.cfg.TemporalNamespace = "shop"
	t.Cleanup(s.retries.stop)
	return s, logged
}

// TestRefusedSearchAttributesDoNotPreventTheStart, and the log says what an administrator has to do.
func TestRefusedSearchAttributesDoNotPreventTheStart(t *testing.T) {
	const remedy = "temporal operator search-attribute create --namespace shop --name CustomerId --type Keyword --name NeedsAttention --type Bool"
	for name, o := range map[string]*attributeServer{
		"list denied":          {list: serviceerror.NewPermissionDenied("no", "")},
		"list not implemented": {list: serviceerror.NewUnimplemented("no")},
		"add denied":           {listed: []string{"OrderStatus"}, add: serviceerror.NewPermissionDenied("no", "")},
	} {
		t.Run(name, func(t *testing.T) {
			s, logged := registration(t, o)
			require.NoError(t, s.registerAttributes(t.Context(), testenv.Timeout))
			require.Contains(t, logged.String(), remedy)
			require.Empty(t, s.retries.cancels, "nothing is tried again")
		})
	}
}

// TestUnavailableSearchAttributesAreRegisteredLater: the service starts, and goes on trying.
func TestUnavailableSearchAttributesAreRegisteredLater(t *testing.T) {
	o := &attributeServer{list: serviceerror.NewUnavailable("visibility is down"), recovers: make(chan struct{})}
	s, logged := registration(t, o)
	require.NoError(t, s.registerAttributes(t.Context(), time.Millisecond))
	require.Contains(t, logged.String(), "starting without a check")
	close(o.recovers)
	s.retries.running.Wait()
}

func TestRegistrationEndsWithItsContext(t *testing.T) {
	s, _ := registration(t, &attributeServer{list: serviceerror.NewUnavailable("visibility is down")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.registerAttributes(ctx, time.Millisecond), context.Canceled)
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
