package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	mongodriver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/participant/participanttest"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/test/harness"
)

// participantVariable makes the binary of the tests a participant instead: both services, with its value as configuration.
const participantVariable = "ORDERSAGA_E2E_PARTICIPANT"

const participantSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"

// participantConfig configures the process of a participant. What it must not forget is in its folder and its database.
type participantConfig struct {
	Addr, Folder, Database string
	OnHand                 map[string]int64
}

// openStock opens the stock of a participant.
func (c participantConfig) openStock() (*participanttest.Stock, error) {
	return participanttest.NewStock(c.OnHand, filepath.Join(c.Folder, "reservations"))
}

// serveParticipant is the process.
func serveParticipant(ctx context.Context, text string) error {
	var c participantConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	logger := slog.New(slog.DiscardHandler)
	client, err := mongo.Connect(os.Getenv("MONGODB_URI"), nil, logger, nil)
	if err != nil {
		return err
	}
	db, err := mongo.Open(ctx, client.Database(c.Database), logger)
	if err != nil {
		return err
	}
	books := mongo.NewLog(db, mongo.EventsCollection)
	if err := mongo.Setup(ctx, books.Indexes()); err != nil {
		return err
	}
	provider, err := simulator.New(simulator.Config{Log: books})
	if err != nil {
		return err
	}
	payments, err := participanttest.NewPayments(provider, filepath.Join(c.Folder, "payments"))
	if err != nil {
		return err
	}
	goods, err := c.openStock()
	if err != nil {
		return err
	}
	server, err := participanttest.New(payments, goods, participantSecret)
	if err != nil {
		return err
	}
	return (&http.Server{Addr: c.Addr, Handler: c.delayed(server), ReadHeaderTimeout: time.Minute}).ListenAndServe()
}

// delayFile is the file in the folder of a participant that says how long it takes for each request.
func (c participantConfig) delayFile() string { return filepath.Join(c.Folder, "delay") }

// delayed has requests that change something wait before they are handled.
func (c participantConfig) delayed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := os.ReadFile(c.delayFile())
		if delay, err := time.ParseDuration(string(text)); err == nil && r.Method != http.MethodGet {
			<-time.After(delay)
		}
		next.ServeHTTP(w, r)
	})
}

// slowDown has each request take so long from now on.
func (p *participantProcess) slowDown(delay time.Duration) {
	p.s.t.Helper()
	require.NoError(p.s.t, os.WriteFile(p.config.delayFile(), []byte(delay.String()), 0o600))
}

// participantProcess is a participant that can be killed and started again.
type participantProcess struct {
	s      *stack
	config participantConfig
	cmd    *exec.Cmd
	output bytes.Buffer
}

// participant starts a participant, and has the services and commands that are started later use it.
func (s *stack) participant(onHand map[string]int64) *participantProcess {
	s.t.Helper()
	addr, err := harness.FreeAddr()
	require.NoError(s.t, err)
	p := &participantProcess{s: s, config: participantConfig{addr, s.t.TempDir(), s.database + "_books", onHand}}
	books := s.db.Client().Database(p.config.Database)
	s.t.Cleanup(func() { drop(books) })
	s.t.Cleanup(p.kill)
	for name, value := range map[string]string{
		"PAYMENT_GATEWAY": "http", "PAYMENT_URL": "http://" + addr, "INVENTORY": "http", "INVENTORY_URL": "http://" + addr,
		"PARTICIPANT_SECRET": participantSecret,
	} {
		s.t.Setenv(name, value)
	}
	p.start()
	return p
}

func drop(d *mongodriver.Database) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = d.Drop(ctx)
}

// start starts the process and waits until it answers.
func (p *participantProcess) start() {
	p.s.t.Helper()
	text, err := json.Marshal(p.config)
	require.NoError(p.s.t, err)
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), participantVariable+"="+string(text))
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	require.NoError(p.s.t, p.cmd.Start())
	require.Eventually(p.s.t, func() bool {
		response, err := http.Get("http://" + p.config.Addr + "/traits")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode == http.StatusUnauthorized // it answers, and wants a signature
	}, patience, 50*time.Millisecond)
}

// kill ends the process at once.
func (p *participantProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// TestOrdersOverHTTPParticipants runs orders down every path with a warehouse and a payment service of the shop's own, kills them and the service
// in the middle, and compares stock and orders.
func TestOrdersOverHTTPParticipants(t *testing.T) {
	const onHand, orders = 1000, 24
	s := newStack(t)
	t.Setenv("TEMPORAL_NAMESPACE", s.registerNamespace()) // reconcile looks at every saga of a namespace
	p := s.participant(map[string]int64{"tea": onHand, "cup": onHand})
	s.start()

	var paid string
	for _, test := range []struct {
		method, status, reason string
		quantity               int64
	}{
		{"tok_visa", "completed", "", 2},
		{"tok_timeout", "completed", "", 1},
		{"tok_declined", "rejected", "payment_declined", 1},
		{"tok_capture_refused", "rejected", "capture_refused", 1},
		{"tok_visa", "rejected", "out_of_stock", onHand + 1},
	} {
		end := s.place(harness.NewOrder("tea", test.quantity, test.method))
		require.Equal(t, test.status, end.Status, test.method)
		require.Equal(t, test.reason, end.Reason, test.method)
		if test.quantity == 2 {
			paid = end.ID
		}
	}
	back, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders/"+paid+"/refunds",
		map[string]any{"lines": []map[string]any{{"line": 1, "quantity": 1}}, "restock": true}, "Prefer", "wait=60")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, back.Status, string(back.Body))
	shown, err := s.client.Do(s.ctx, http.MethodGet, "/v1/stock/tea", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotImplemented, shown.Status, "the warehouse has the stock")

	// Each kill meets orders in the middle: they are placed at the same time, and nothing waits for them.
	var ids []string
	var mu sync.Mutex
	crowd := func() {
		var placing sync.WaitGroup
		for n := range orders {
			placing.Go(func() {
				method := []string{"tok_visa", "tok_timeout", "tok_declined", "tok_capture_refused"}[n%4]
				client, _ := s.current()
				placed, err := client.Place(s.ctx, harness.NewOrder("cup", 1, method), 0)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids = append(ids, placed.ID)
			})
		}
		placing.Wait()
	}
	crowd()
	p.kill()
	crowd()
	p.start()
	crowd()
	s.service.Kill()
	p.kill()
	s.start()
	p.start()
	completed := int64(0)
	for n, id := range ids {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err, "order %d", n)
		if end.Status == "completed" {
			completed++
		} else {
			require.Contains(t, []string{"rejected"}, end.Status, end.Reason)
		}
	}
	require.EqualValues(t, 3*orders/2, completed, "half of the methods approve")

	found, content := s.reconcileOnce()
	require.True(t, content, "%v", found)
	require.Empty(t, found)
	p.kill()
	goods, err := p.config.openStock()
	require.NoError(t, err)
	for sku, want := range map[string]int64{"tea": onHand - 2, "cup": onHand - completed} {
		have, reserved := goods.Balance(sku)
		require.Equal(t, want, have, sku)
		require.Zero(t, reserved, sku)
	}
}

// runParticipant runs the process of a participant instead of tests; asked reports whether that is what this process is for.
func runParticipant() (asked bool, err error) {
	text := os.Getenv(participantVariable)
	if text == "" {
		return false, nil
	}
	err = serveParticipant(context.Background(), text)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return true, fmt.Errorf("participant: %w", err)
}
