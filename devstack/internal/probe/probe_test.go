package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// peer answers each connection's first eight bytes.
func peer(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(connection, make([]byte, 8)); err == nil {
				_, _ = io.WriteString(connection, answer)
			}
			connection.Close()
		}
	}()
	return listener.Addr().String()
}

func TestAMQP(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := AMQP(peer(t, "\x01\x00\x00"))(ctx); err != nil {
		t.Errorf("a broker: %v", err)
	}
	if err := AMQP(peer(t, "HTTP/1.1 400"))(ctx); err == nil {
		t.Error("a web server passes for a broker")
	}
	if err := AMQP(peer(t, ""))(ctx); err == nil {
		t.Error("a peer that hangs up passes for a broker")
	}
}

func TestHTTP(t *testing.T) {
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	if err := HTTP(server.URL)(t.Context()); err == nil {
		t.Error("503 passes for ready")
	}
	status = http.StatusOK
	if err := HTTP(server.URL)(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAll(t *testing.T) {
	no := errors.New("no")
	fine := func(context.Context) error { return nil }
	bad := func(context.Context) error { return no }
	if err := All(fine, bad)(t.Context()); !errors.Is(err, no) {
		t.Errorf("err = %v", err)
	}
	if err := All(fine, fine)(t.Context()); err != nil {
		t.Errorf("err = %v", err)
	}
}
