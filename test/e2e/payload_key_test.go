package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestMessageWaitsForItsPayloadKey: a process without the payload key is asked to send a message. It cannot read what it is to send: the message is
// neither lost nor given up, and is sent once when there is a process that has the key.
func TestMessageWaitsForItsPayloadKey(t *testing.T) {
	s := newMailed(t)
	file, _ := keyFile(t)
	key := "PAYLOAD_KEYS_FILE=" + file
	s.start(append(s.env, key, "WORKER_QUEUES=orders,payments")...)
	sender := func(env ...string) *harness.Service {
		t.Helper()
		env = append(append([]string{"MONGODB_DATABASE=" + s.database, "WORKER_QUEUES=notifications", "LOG_FORMAT=json"}, s.env...), env...)
		worker, err := harness.Start(s.ctx, harness.Options{Binary: binary, Role: "worker", Env: env})
		require.NoError(t, err)
		t.Cleanup(worker.Kill)
		return worker
	}
	without := sender()
	who := customer()
	s.registers(who, who+"-1", "ada@example.org", time.Now())
	workflow := "notice-welcome-" + who
	require.Eventually(t, func() bool {
		described, err := s.temporal.DescribeWorkflowExecution(s.ctx, workflow, "")
		if err != nil {
			return false
		}
		for _, a := range described.GetPendingActivities() {
			if a.GetActivityType().GetName() == "notice.Send" && a.GetAttempt() > 2 {
				return true
			}
		}
		return false
	}, patience, tick, "the attempts without the key are repeated")
	require.NoError(t, without.Stop(patience))
	require.Empty(t, s.server.Mails())
	sender(key)
	s.awaitEnds([]string{workflow}, "notice.sent")
	s.closes(workflow)
	require.Len(t, s.server.Mails(), 1)
}
