package e2e

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/notify/notifytest"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// NotificationQueue is the documented queue of the events that notify customers.
const notificationQueue = "ordersaga.notifications"

// mailed is a stack with a mail server.
type mailed struct {
	*stack
	server *notifytest.Server
	env    []string
}

func newMailed(t *testing.T) *mailed {
	s := &mailed{stack: newStack(t), server: notifytest.Start(t, nil)}
	t.Cleanup(func() {
		for _, delay := range []string{"", ".wait.5s", ".wait.30s", ".wait.5m"} {
			s.bus.Purge(notificationQueue + delay)
		}
	})
	s.env = s.mailEnv(s.server.Addr())
	return s
}

func (s *mailed) mailEnv(addr string) []string {
	return []string{"NOTIFICATIONS=smtp", "SMTP_URL=smtp://" + addr, "SMTP_TLS=none", "SMTP_TIMEOUT=20s", "MAIL_FROM=Shop <orders@example.org>"}
}

// start runs the service and waits until it listens.
func (s *mailed) start(env ...string) *harness.Service {
	s.t.Helper()
	service := s.stack.start(env...)
	s.listens()
	return service
}

// listens returns when every consumer of the service has its queue. The service is ready as soon as it accepts orders; an event that is
// published before the queue for notifications is bound reaches no queue.
func (s *mailed) listens() {
	s.t.Helper()
	var said readiness
	require.Eventually(s.t, func() bool {
		said = s.readyz(s.client.URL)
		for _, c := range said.Checks {
			if c.Status != "ok" {
				return false
			}
		}
		return len(said.Checks) > 0
	}, patience, 50*time.Millisecond, "%v", &said)
}

// customer returns the ID of a customer of this test only.
func customer() string { return "c-" + uuid.NewString()[:8] }

// registers publishes the event in the format of a user service.
func (s *mailed) registers(customerID, eventID, email string, at time.Time) {
	s.t.Helper()
	require.NoError(s.t, s.bus.PublishJSON(s.ctx, harness.Exchange, "UserRegistered", "application/json", map[string]any{
		"id": eventID, "aggregateId": customerID, "eventType": "UserRegistered", "occurredAt": at.UTC().Format(time.RFC3339Nano),
		"data": map[string]string{"email": email, "username": "Ada Lovelace"},
	}))
}

// buys places an order of a customer's and waits for its end.
func (s *mailed) buys(customerID, sku, method string) harness.Resource {
	s.t.Helper()
	o := harness.NewOrder(sku, 1, method)
	o.CustomerID = customerID
	return s.place(o)
}

// awaitEnds waits until streams end with one of the events. It polls: the service is another process.
func (s *mailed) awaitEnds(streams []string, types ...string) *audit.Report {
	s.t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	var missing []string
	for {
		if report, err := audit.Run(s.ctx, s.db); err == nil {
			missing = missing[:0]
			for _, name := range streams {
				stream := report.Streams[name]
				last := "nothing"
				if len(stream) > 0 {
					last = stream[len(stream)-1].Type
				}
				if !strings.Contains(" "+strings.Join(types, " ")+" ", " "+last+" ") {
					missing = append(missing, name+" is at "+last)
				}
			}
			if len(missing) == 0 {
				require.Empty(s.t, report.Violations)
				return report
			}
		}
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			require.FailNow(s.t, "streams do not end", "with %v: %v", types, missing)
		}
	}
}

// accepted counts the messages that the mail server has accepted, by address and subject.
func accepted(server *notifytest.Server) map[string]int {
	counts := map[string]int{}
	for _, m := range server.Mails() {
		if m.Accepted {
			counts[m.To+": "+m.Header("Subject")]++
		}
	}
	return counts
}

// TestACustomerIsOnboarded: the customer is notified once of each outcome of their orders; their personal data is stored
// encrypted only; after their key is deleted, it cannot be read, and the log still verifies.
func TestACustomerIsOnboarded(t *testing.T) {
	s := newMailed(t)
	// Two of each role, and every workflow task is replayed from its history.
	env := append([]string{"WORKER_CACHE=0", "PAYMENT_PENDING_DEADLINE=1s"}, s.env...)
	s.ownNamespace(env...)
	service := s.service
	second := s.start(append(env, "TEMPORAL_NAMESPACE="+s.namespace)...)
	who, now := customer(), time.Now()
	for range 3 {
		s.registers(who, who+"-1", who+"@example.com", now)
	}
	s.awaitEnds([]string{"notice-welcome-" + who}, "notice.sent")
	s.awaitEnds([]string{"customer-" + who}, "customer.onboarded")
	s.registers(who, who+"-3", who+"@example.net", now.Add(time.Minute))
	s.awaitEnds([]string{"customer-" + who}, "customer.profile_updated")
	s.registers(who, who+"-2", who+"@example.org", now.Add(time.Second))
	report := s.awaitEnds([]string{"customer-" + who}, "customer.profile_outdated")
	require.Len(t, report.Streams["customer-"+who], 4, "duplicates change nothing")

	sku := s.sku(100)
	done, declined, unpaid := s.buys(who, sku, "tok_visa"), s.buys(who, sku, "tok_declined"), s.buys(who, sku, "tok_pending")
	shipped := harness.NewOrder(sku, 1, "tok_visa")
	shipped.CustomerID, shipped.Fulfillment = who, "shipment"
	cancelled, err := s.client.Place(s.ctx, shipped, 0)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, cancelled.ID, "awaiting_shipment")
	require.NoError(t, err)
	_, err = s.client.Cancel(s.ctx, cancelled.ID, "too slow")
	require.NoError(t, err)
	_, err = s.client.AwaitEnd(s.ctx, cancelled.ID)
	require.NoError(t, err)
	stranger := s.buys(customer(), sku, "tok_visa")
	report = s.awaitEnds([]string{
		"notice-completed-" + done.ID, "notice-rejected-" + declined.ID, "notice-failed-" + unpaid.ID,
		"notice-confirmed-" + cancelled.ID, "notice-cancelled-" + cancelled.ID,
	}, "notice.sent")
	require.Empty(t, report.Streams["notice-completed-"+stranger.ID], "this customer is unknown")
	s.showsSaga("onboarding", who, "completed")
	s.showsSaga("notification", "completed-"+done.ID, "completed")
	to := who + "@example.net: "
	require.Equal(t, map[string]int{
		who + "@example.com: Welcome":                               1,
		to + "Your order " + done.ID + " is complete":               1,
		to + "Your order " + declined.ID + " could not be accepted": 1,
		to + "Your order " + unpaid.ID + " could not be completed":  1,
		to + "Your order " + cancelled.ID + " is confirmed":         1,
		to + "Your order " + cancelled.ID + " is cancelled":         1,
	}, accepted(s.server))

	messages, err := s.tap.Await(s.ctx, who, func(m []harness.Message) bool { return len(harness.Outbound(m)) >= 4 })
	require.NoError(t, err)
	var types []string
	for _, m := range harness.Outbound(messages) {
		types = append(types, m.Type)
		s.hides("the bus", string(m.Body), who)
	}
	require.Equal(t, []string{"customer.registered", "customer.onboarded", "customer.profile_updated", "customer.profile_outdated"}, types)
	s.hides("the log", s.dump("events"), who)
	s.hides("a process's log", service.Log()+second.Log(), who)
	s.hides("Temporal", s.history("customer-"+who)+s.history("notice-welcome-"+who)+s.history("notice-completed-"+done.ID), who)

	s.erases(who)
	messages, err = s.tap.Await(s.ctx, who, func(m []harness.Message) bool { return len(harness.Outbound(m)) >= 5 })
	require.NoError(t, err)
	require.Equal(t, "customer.erased", harness.Outbound(messages)[4].Type)
	forgotten := s.buys(who, sku, "tok_visa")
	s.awaitEnds([]string{"notice-completed-" + forgotten.ID}, "notice.given_up")
	require.Len(t, accepted(s.server), 6, "no customer can be notified any more")
	require.Contains(t, s.printed("audit", "verify"), "0 findings")
	s.audit()
	// A saga whose run takes longer to close is reported as stalled until it has closed.
	var out string
	require.Eventually(t, func() bool {
		out, err = s.cli("reconcile", "--stale", "1s")
		return err == nil
	}, patience, tick, "%s", &out)
}

// erases erases a customer, who is named by a dead letter, too. Checkpoints from before verify.
func (s *mailed) erases(who string) {
	t := s.t
	t.Helper()
	s.registers(who, who+"-4", "no address of "+who, time.Now())
	var letter string
	require.Eventually(t, func() bool {
		letters, err := s.client.DeadLetters(s.ctx, "")
		i := slices.IndexFunc(letters, func(l harness.DeadLetter) bool { return l.EventID == who+"-4" })
		if err != nil || i < 0 {
			return false
		}
		letter = letters[i].ID
		return true
	}, patience, tick)
	key := filepath.Join(t.TempDir(), "audit.key")
	s.printed("audit", "key", "new", "shop.example.com/orders", "--out", key)
	t.Setenv("AUDIT_SIGNING_KEY_FILE", key)
	require.Contains(t, s.printed("audit", "checkpoint"), "checkpoint 1 is signed")

	out, err := s.cli("erase", who, "--by", "no one")
	require.Error(t, err)
	require.Contains(t, out, "/by")
	require.Contains(t, s.printed("erase", "unknown", "--by", "ada"), "customer unknown: no key exists")
	out = s.printed("erase", who, "--by", "ada")
	require.Contains(t, out, "customer "+who+": key ")
	require.Contains(t, out, "dead letter "+letter+" deleted")
	require.NotContains(t, s.dump("customer_keys"), who)
	require.NotContains(t, s.dump("dead_letters"), "no address")
	require.Regexp(t, "was deleted at .* by ada", s.printed("erase", who, "--by", "grace"), "it is recorded once")
}

// hides checks that a text contains no personal data of a customer.
func (s *mailed) hides(where, text, who string) {
	s.t.Helper()
	for _, secret := range []string{who + "@example", "Lovelace"} {
		require.NotContains(s.t, text, secret, where)
	}
}

// dump is a collection as text.
func (s *mailed) dump(collection string) string {
	s.t.Helper()
	cursor, err := s.db.Collection(collection).Find(s.ctx, bson.D{})
	require.NoError(s.t, err)
	var documents []bson.M
	require.NoError(s.t, cursor.All(s.ctx, &documents))
	return fmt.Sprint(documents)
}

// history is the history of a workflow as text.
func (s *mailed) history(workflowID string) string {
	s.t.Helper()
	var text strings.Builder
	events := s.temporal.GetWorkflowHistory(s.ctx, workflowID, "", false, 0)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(s.t, err)
		// Payloads are bytes, which protobuf would print encoded.
		fmt.Fprintln(&text, e.String())
	}
	require.Contains(s.t, text.String(), workflowID, "payloads can be read")
	return text.String()
}

// TestAMailServerThatIsAway: a mail server that is down does not delay an order; messages that it did not accept arrive later, once.
func TestAMailServerThatIsAway(t *testing.T) {
	s := newMailed(t)
	s.server.Answer(notifytest.Script{"connect": notifytest.Hangup})
	s.start(s.env...)
	who := customer()
	s.registers(who, who+"-1", who+"@example.com", time.Now())
	s.awaitEnds([]string{"customer-" + who}, "customer.onboarded")
	sku := s.sku(100)
	var streams []string
	for range 5 {
		end := s.buys(who, sku, "tok_visa")
		require.Equal(t, "completed", end.Status)
		streams = append(streams, "notice-completed-"+end.ID)
	}
	s.awaitEnds(append(streams, "notice-welcome-"+who), "notice.not_accepted", "notice.intended")
	require.Empty(t, s.server.Mails())
	s.server.Answer(nil)
	s.awaitEnds(append(streams, "notice-welcome-"+who), "notice.sent")
	counts := accepted(s.server)
	require.Len(t, counts, 6)
	for mail, n := range counts {
		require.Equal(t, 1, n, mail)
	}
	require.Empty(t, s.audit().Notices)
}

// TestTheServiceIsKilledAroundSending: the service is killed at each point; no customer gets a message twice, and the log has an outcome of every
// message.
func TestTheServiceIsKilledAroundSending(t *testing.T) {
	s := newMailed(t)
	service := s.start(s.env...)
	sku := s.sku(100)
	who := customer()
	s.registers(who, who+"-1", who+"@example.com", time.Now())
	s.awaitEnds([]string{"notice-welcome-" + who}, "notice.sent")
	// The server has the message and does not answer: the service is killed after the message was sent, before the outcome.
	s.server.Answer(notifytest.Script{"end": notifytest.Silence})
	changed := s.server.Changed()
	sent := s.buys(who, sku, "tok_visa")
	select {
	case <-changed:
	case <-s.ctx.Done():
		require.FailNow(t, "no message arrived")
	}
	service.Kill()
	// The server does not accept the recipient: the service is killed after the intent, before the message is sent.
	s.server.Answer(notifytest.Script{"rcpt": notifytest.Silence})
	service = s.start(s.env...)
	before := s.buys(who, sku, "tok_visa")
	s.awaitEnds([]string{"notice-completed-" + before.ID}, "notice.intended")
	service.Kill()
	s.server.Answer(nil)
	s.start(s.env...)
	after := s.buys(who, sku, "tok_visa")
	s.awaitEnds([]string{"notice-completed-" + after.ID}, "notice.sent")
	report := s.awaitEnds([]string{"notice-completed-" + sent.ID, "notice-completed-" + before.ID}, "notice.unknown", "notice.sent")
	require.Equal(t, []string{"notice.requested", "notice.intended", "notice.unknown"}, lateTypes(report.Streams["notice-completed-"+sent.ID]))
	for mail, n := range accepted(s.server) {
		require.Equal(t, 1, n, mail)
	}
	require.Empty(t, s.audit().Notices)
}

// TestAMessageWhoseSagaWasTerminated: reconcile finds the message, and it is not sent again.
func TestAMessageWhoseSagaWasTerminated(t *testing.T) {
	s := newMailed(t)
	s.ownNamespace(s.env...)
	s.listens()
	who := customer()
	s.server.Answer(notifytest.Script{"mail": "451 4.3.0 later"})
	s.registers(who, who+"-1", who+"@example.com", time.Now())
	s.awaitEnds([]string{"notice-welcome-" + who}, "notice.not_accepted")
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "notice-welcome-"+who, "", "by accident"))
	s.server.Answer(nil)
	require.Eventually(t, func() bool {
		out, err := s.cli("reconcile", "--stale", "1s")
		return err != nil && strings.Contains(out, "notice_unsettled")
	}, patience, 200*time.Millisecond)
	out, err := s.cli("reconcile", "--stale", "1s", "--repair")
	require.NoError(t, err, out)
	s.awaitEnds([]string{"notice-welcome-" + who}, "notice.sent", "notice.unknown")
	require.LessOrEqual(t, len(accepted(s.server)), 1)
}

// TestADeadLetterOfTheNotificationQueueGoesBackThere: a replay goes to the same queue, and the dry run says so.
func TestADeadLetterOfTheNotificationQueueGoesBackThere(t *testing.T) {
	s := newMailed(t)
	// The customer registers after the end of the order, whose event reached no queue: the queue did not exist yet.
	prefix := "BROKER_PREFIX=back" + uuid.NewString()[:6]
	service := s.start("NOTIFICATIONS=off", prefix)
	who := customer()
	o := s.buys(who, s.sku(1), "tok_visa")
	require.NoError(t, service.Stop(patience))
	s.start(append(s.env, prefix)...)
	s.registers(who, who+"-1", who+"@example.com", time.Now())
	s.awaitEnds([]string{"customer-" + who}, "customer.onboarded")

	require.NoError(t, s.bus.PublishJSON(s.ctx, harness.Exchange, "order.completed", "application/json", map[string]any{"id": "broken-" + who}))
	broken, err := s.client.AwaitDead(s.ctx, func(d harness.DeadLetter) bool { return strings.HasSuffix(d.Queue, ".notifications") })
	require.NoError(t, err)
	run, err := s.client.DryRun(s.ctx, broken.ID)
	require.NoError(t, err)
	require.Equal(t, "refuse", run.Outcome, run.Would)

	mended := harness.Event("mended-"+who, "order.completed", o.ID, map[string]any{"orderId": o.ID})
	response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/dead-letters/"+broken.ID+"/replay?dryRun=true", map[string]any{"body": mended})
	require.NoError(t, err)
	require.NoError(t, response.Into(http.StatusOK, &run))
	require.Equal(t, fmt.Sprintf("would notify customer %s that order %s is completed", who, o.ID), run.Would)
	response, err = s.client.Replay(s.ctx, broken.ID, map[string]any{"body": mended})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.Status, "%s", response.Body)
	s.awaitEnds([]string{"notice-completed-" + o.ID, "notice-welcome-" + who}, "notice.sent")
	require.Len(t, accepted(s.server), 2, "the welcome, and the order")
}

// TestNotificationsThatAreOff: no customer is notified, and no queue grows.
func TestNotificationsThatAreOff(t *testing.T) {
	s := newStack(t)
	prefix := "off" + uuid.NewString()[:6]
	s.start("NOTIFICATIONS=off", "BROKER_PREFIX="+prefix)
	_, _, err := s.bus.Get(prefix + ".notifications")
	require.Error(t, err, "there is no such queue")
	require.Equal(t, "completed", s.place(harness.NewOrder(s.sku(1), 1, "tok_visa")).Status)
}

// TestSettingsOfEMailAreCheckedTogether: the start reports all problems of the settings for e-mail.
func TestSettingsOfEMailAreCheckedTogether(t *testing.T) {
	out, err := command(t, append(environ(), "NOTIFICATIONS=smtp", "SMTP_TIMEOUT=1h", "SMTP_TLS=perhaps"), "config")
	require.Error(t, err)
	for _, name := range []string{"SMTP_URL", "MAIL_FROM", "SMTP_TIMEOUT", "SMTP_TLS"} {
		require.Contains(t, out, name)
	}
	host, port, _ := net.SplitHostPort("127.0.0.1:2525")
	number, _ := strconv.Atoi(port)
	out, err = command(t, append(environ(), "NOTIFICATIONS=smtp", fmt.Sprintf("SMTP_URL=smtp://shop:secret@%s:%d", host, number), "MAIL_FROM=a@b.example"), "config")
	require.NoError(t, err, out)
	require.NotContains(t, out, "secret")
}
