package giftcard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take on a slow machine.
const patience = 3 * time.Minute

// service is the binary of this example, on the stack that the environment names.
type service struct {
	t       *testing.T
	binary  string
	url     string
	process *exec.Cmd
}

// newService builds the binary. The test is skipped without a stack: bin/devstack exec -- go -C examples/giftcard test ./...
func newService(t *testing.T) *service {
	for _, name := range []string{"MONGODB_URI", "AMQP_URL", "TEMPORAL_ADDRESS"} {
		if os.Getenv(name) != "" {
			continue
		}
		if os.Getenv("ORDERSAGA_REQUIRE_STACK") != "" {
			t.Fatalf("%s is not set", name)
		}
		t.Skipf("needs RabbitMQ, Temporal and MongoDB: %s is not set", name)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, binary: filepath.Join(t.TempDir(), "giftcard"), url: "http://" + free.Addr().String()}
	_ = free.Close()
	t.Setenv("HTTP_ADDR", strings.TrimPrefix(s.url, "http://"))
	t.Setenv("MONGODB_DATABASE", fmt.Sprintf("giftcard_%d", time.Now().UnixNano()))
	s.command("go", "build", "-o", s.binary, "./cmd/giftcard")
	t.Cleanup(s.kill)
	return s
}

// command runs a command, and returns what it prints.
func (s *service) command(name string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts the service, and returns when it is ready.
func (s *service) start() {
	s.t.Helper()
	s.process = exec.Command(s.binary, "serve")
	s.process.Stderr = s.t.Output()
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.until("the service is ready", func() bool {
		response, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// kill ends the process without a chance to clean up.
func (s *service) kill() {
	if s.process != nil {
		_ = s.process.Process.Signal(syscall.SIGKILL)
		_ = s.process.Wait()
		s.process = nil
	}
}

// until polls for something that other processes do.
func (s *service) until(what string, done func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s", what, patience)
		}
		<-ticker.C
	}
}

// sagaAnswer is what REST says of a top-up.
type sagaAnswer struct {
	Status, Reason string
	NeedsAttention bool
	Steps          []struct{ Name, State string }
}

// do sends a request.
func (s *service) do(method, path string, body any, headers ...string) (status int, answer sagaAnswer) {
	s.t.Helper()
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, sent)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, answer
	}
	defer response.Body.Close()
	_ = json.NewDecoder(response.Body).Decode(&answer)
	return response.StatusCode, answer
}

// topUp is the body of a request to top up.
func topUp(id, cardID string, amount int64, method string) any {
	return map[string]any{"id": id, "input": TopUp{CardID: cardID, Amount: amount, Currency: "EUR", Method: method}}
}

func (s *service) ends(id, status, reason string) {
	s.t.Helper()
	s.until("top-up "+id+" is "+status, func() bool {
		_, answer := s.do(http.MethodGet, "/v1/sagas/giftcard-topup/"+id, nil)
		return answer.Status == status && answer.Reason == reason
	})
}

// shows waits until the metrics have lines.
func (s *service) shows(lines ...string) {
	s.t.Helper()
	s.until("the metrics have "+strings.Join(lines, "\n"), func() bool {
		response, err := http.Get(s.url + "/metrics")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return !slices.ContainsFunc(lines, func(l string) bool { return !bytes.Contains(text, []byte(l+"\n")) })
	})
}

// TestService runs the example: by REST and by events, through a kill -9, and checks what is left.
func TestService(t *testing.T) {
	s := newService(t)
	s.start()
	const path = "/v1/sagas/giftcard-topup"
	const wait = "Prefer: wait=60"

	status, answer := s.do(http.MethodPost, path, topUp("t-1", "GIFT-1", 2500, "tok_visa"), wait)
	if status != http.StatusCreated && status != http.StatusAccepted {
		t.Fatalf("status %d: %+v", status, answer)
	}
	s.ends("t-1", "completed", "")
	if status, _ = s.do(http.MethodPost, path, topUp("t-1", "GIFT-1", 2501, "tok_visa")); status != http.StatusConflict {
		t.Fatalf("the same ID with other content: %d", status)
	}
	if status, _ = s.do(http.MethodPost, path, topUp("t-2", "g", 0, "tok_visa")); status != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong top-up: %d", status)
	}
	s.do(http.MethodPost, path, topUp("t-3", "GIFT-1", 2500, "tok_declined"), wait)
	s.ends("t-3", "rejected", "payment_declined")
	s.shows(
		`ordersaga_sagas_started_total{flow="giftcard-topup"} 2`,
		`ordersaga_sagas_ended_total{flow="giftcard-topup",reason="",status="completed"} 1`,
		`ordersaga_sagas_ended_total{flow="giftcard-topup",reason="payment_declined",status="rejected"} 1`,
		`ordersaga_step_duration_seconds_count{flow="giftcard-topup",inline="true",kind="do",outcome="done",step="lock"} 2`,
		`ordersaga_step_duration_seconds_count{flow="giftcard-topup",inline="true",kind="undo",outcome="done",step="lock"} 1`,
		`ordersaga_saga_duration_seconds_count{flow="giftcard-topup",status="completed"} 1`,
	)

	// A large top-up by an event waits for its approval; the process dies meanwhile.
	s.command(s.binary, "publish", requested, "--data", `{"topUpId":"t-4","cardId":"GIFT-1","amount":30000,"currency":"EUR","method":"tok_visa"}`)
	s.until("t-4 waits", func() bool {
		_, answer := s.do(http.MethodGet, path+"/t-4", nil)
		return answer.Status == "authorized"
	})
	s.shows(`ordersaga_sagas_open{flow="giftcard-topup",status="authorized"} 1`)
	// A payment whose answer is lost, and a card that is locked: both are under way when the process dies.
	s.do(http.MethodPost, path, topUp("t-5", "GIFT-5", 2500, "tok_timeout"))
	s.do(http.MethodPost, path, topUp("t-6", "GIFT-1", 2500, "tok_visa"))
	s.kill()
	s.start()
	s.ends("t-5", "completed", "")
	s.command(s.binary, "publish", approved, "--data", `{"topUpId":"t-4","by":"ada"}`)
	s.ends("t-4", "completed", "")
	s.until("t-6 has ended", func() bool {
		_, answer := s.do(http.MethodGet, path+"/t-6", nil)
		return answer.Status == "completed" || answer.Status == "rejected" && answer.Reason == "card_busy"
	})

	// A cancellation that comes before its top-up, and one in time.
	s.command(s.binary, "publish", cancelled, "--data", `{"topUpId":"t-7"}`)
	s.do(http.MethodPost, path, topUp("t-7", "GIFT-7", 30000, "tok_visa"))
	s.ends("t-7", "cancelled", "requested")
	s.do(http.MethodPost, path, topUp("t-8", "GIFT-8", 30000, "tok_visa"))
	s.until("t-8 waits", func() bool {
		_, answer := s.do(http.MethodGet, path+"/t-8", nil)
		return answer.Status == "authorized"
	})
	if status, _ = s.do(http.MethodPost, path+"/t-8/cancellation", map[string]string{"reason": "ordered twice"}); status != http.StatusOK {
		t.Fatalf("a cancellation: %d", status)
	}
	s.ends("t-8", "cancelled", "requested")

	for _, command := range [][]string{{"reconcile"}, {"rebuild"}, {"reconcile"}} {
		t.Log(s.command(s.binary, command...))
	}
}
