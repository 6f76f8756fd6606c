package e2e

import (
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/harness"
)

// tick is the interval between two checks.
const tick = 50 * time.Millisecond

// depth is how many messages wait in a queue.
func (s *stack) depth(queue string) int {
	s.t.Helper()
	n, err := s.bus.Depth(queue)
	require.NoError(s.t, err)
	return n
}

func mongoHost(t *testing.T) string {
	t.Helper()
	mongo, err := url.Parse(os.Getenv("MONGODB_URI"))
	require.NoError(t, err)
	return mongo.Host
}

// stalled calls do until a stall has matched its text.
func (s *stack) stalled(stall *harness.Stall, do func()) {
	s.t.Helper()
	s.t.Cleanup(stall.Close)
	go do()
	select {
	case <-stall.Stalled():
	case <-s.ctx.Done():
		s.t.Fatal("the text to stall was never sent")
	}
}

// letters counts the letters of an event.
func (s *stack) letters(eventID string) int64 {
	s.t.Helper()
	n, err := s.db.Collection("dead_letters").CountDocuments(s.ctx, bson.D{{Key: "eventId", Value: eventID}})
	require.NoError(s.t, err)
	return n
}

// TestKilledWhileADeadLetterIsKept: the letter is inserted, and its message is not acknowledged. The message is delivered again, and there is
// one letter.
func TestKilledWhileADeadLetterIsKept(t *testing.T) {
	s := newStack(t)
	stall, err := harness.NewStall(mongoHost(t), "dead.received")
	require.NoError(t, err)
	s.start("MONGODB_URI=mongodb://" + stall.Addr() + "/?directConnection=true")
	id := uuid.NewString()
	s.stalled(stall, func() {
		_ = s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: id, Body: []byte("no"), DeliveryMode: amqp.Persistent})
	})
	s.service.Kill()
	require.Equal(t, int64(1), s.letters(id), "it is inserted before it is acknowledged")
	s.start()
	l, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == id && len(l.History) == 1 })
	require.NoError(t, err)
	require.Equal(t, []string{"dead.received"}, types(l.History))
	require.Eventually(t, func() bool { return s.depth(harness.DeadQueue) == 0 }, patience, tick)
	require.Equal(t, int64(1), s.letters(id))
	s.audit()
}

// TestKilledWhileADeadLetterIsReplayed: the process is killed between the decision and the send, or between the send and the outcome. The letter
// reports an unknown outcome, and a second replay finishes it; its effect happens once.
func TestKilledWhileADeadLetterIsReplayed(t *testing.T) {
	broker, err := url.Parse(amqpURL())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		host, text string
		env        func(addr string) string
	}{
		"before the send": {broker.Host, "x-ordersaga-replay-of", func(addr string) string {
			through := *broker
			through.Host = addr
			return "AMQP_URL=" + through.String()
		}},
		"after the send": {mongoHost(t), "dead.replayed", func(addr string) string {
			return "MONGODB_URI=mongodb://" + addr + "/?directConnection=true"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			s.start()
			sku := s.sku(1)
			// A receipt that was refused because of its quantity.
			id, err := s.bus.Publish(s.ctx, "stock.received", sku, map[string]any{"sku": sku, "quantity": -4})
			require.NoError(t, err)
			letter := s.dead(id)
			require.Equal(t, "invalid", letter.Reason)
			s.service.Kill()

			stall, err := harness.NewStall(c.host, c.text)
			require.NoError(t, err)
			s.start(c.env(stall.Addr()))
			mended := map[string]any{"body": harness.Event(id, "stock.received", sku, map[string]any{"sku": sku, "quantity": 4})}
			client := s.client
			s.stalled(stall, func() { _, _ = client.Replay(s.ctx, letter.ID, mended) })
			s.service.Kill()
			s.start()
			listed, err := s.client.DeadLetters(s.ctx, "?status=open,replaying")
			require.NoError(t, err)
			require.Len(t, listed, 1)
			require.Equal(t, "replaying", listed[0].Status, "its outcome is not known")
			response, err := s.client.Replay(s.ctx, letter.ID, nil)
			require.NoError(t, err)
			require.NoError(t, response.Into(200, nil))
			letter = s.letter(letter.ID, "replayed")
			require.Equal(t, []string{"dead.received", "dead.replay_requested", "dead.replayed"}, types(letter.History))
			require.Eventually(t, func() bool {
				stock, err := s.client.Stock(s.ctx, sku)
				return err == nil && stock.OnHand == 5
			}, patience, tick, "the mended payload was kept, and is booked")
			require.Eventually(t, func() bool { return s.depth(harness.Inbox) == 0 }, patience, tick)
			require.Equal(t, int64(5), s.audit().OnHand[sku], "once")
		})
	}
}

// TestTheAPIAloneReplays: without a broker, an API process is ready and shows letters, and a replay records no decision; with a broker it replays.
func TestTheAPIAloneReplays(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(1)
	id, err := s.bus.Publish(s.ctx, "stock.received", sku, map[string]any{"sku": sku, "quantity": 0})
	require.NoError(t, err)
	letter := s.dead(id)
	s.service.Kill()
	alone := func(env ...string) harness.Client {
		api, err := harness.Start(s.ctx, harness.Options{
			Binary: binary, Role: "api", Env: append([]string{"MONGODB_DATABASE=" + s.database, "RECONCILE_EVERY=0"}, env...),
		})
		require.NoError(t, err, "it is ready")
		t.Cleanup(api.Kill)
		return harness.Client{URL: api.URL}
	}
	client := alone("AMQP_URL=amqp://guest:guest@127.0.0.1:1/")
	response, err := client.Replay(s.ctx, letter.ID, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.Status)
	shown, err := client.DeadLetter(s.ctx, letter.ID)
	require.NoError(t, err)
	require.Equal(t, "open", shown.Status)
	require.Equal(t, []string{"dead.received"}, types(shown.History))

	client = alone()
	client.Patient = true // it may not be connected to the broker yet
	response, err = client.Replay(s.ctx, letter.ID, nil)
	require.NoError(t, err)
	require.NoError(t, response.Into(http.StatusOK, &shown))
	require.Equal(t, "replayed", shown.Status)
	require.Equal(t, 1, s.depth(harness.Inbox), "it waits for a consumer")
	s.start()
	again, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.Replays == 1 })
	require.NoError(t, err)
	require.Equal(t, letter.ID, *again.ReplayOf)
	s.audit()
}
