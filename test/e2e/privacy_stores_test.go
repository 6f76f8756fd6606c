package e2e

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

// ownBroker is set when no other test has used the broker. Its files are compared only then: the broker decides when it deletes old files of queues, and
// queues that many tests have used keep them longer.
var ownBroker = os.Getenv("ORDERSAGA_OWN_BROKER") != ""

// stores reads what the servers have stored and logged, and returns a marker in what the broker has. The broker writes its files anew only if this
// is a run with keys: without them nothing else is expected of it.
func (s *mailed) stores(r *privateRun, protected bool) (marker string) {
	t := s.t
	t.Helper()
	r.left[inMongoDB], r.left[inFiles], r.left[inTemporal] = s.everything(), filesOf(t, "data/mongodb"), filesOf(t, "data/temporal")
	r.left[inBroker] = filesOf(t, "data/rabbitmq")
	require.Subset(t, r.found(inBroker, slices.Concat(r.personal, r.sent)...), r.sent, "messages are the broker's as their publishers sent them")
	marker = secret()
	s.mark(marker, harness.DeadQueue)
	if protected && ownBroker {
		s.rollOver(slices.Concat(r.personal, r.sent), harness.Inbox, harness.DeadQueue, notificationQueue)
		s.mark(marker, harness.DeadQueue)
	}
	r.left[inBroker], r.left[inServers] = filesOf(t, "data/rabbitmq"), filesOf(t, "logs")
	return marker
}

// everything is what is in the database of the test.
func (s *stack) everything() (text []byte) {
	s.t.Helper()
	names, err := s.db.ListCollectionNames(s.ctx, bson.D{})
	require.NoError(s.t, err)
	require.Contains(s.t, names, "dead_letters")
	for _, name := range names {
		cursor, err := s.db.Collection(name).Find(s.ctx, bson.D{})
		require.NoError(s.t, err)
		var documents []bson.Raw
		require.NoError(s.t, cursor.All(s.ctx, &documents))
		for _, d := range documents {
			text = append(append(text, d...), '\n')
		}
	}
	return text
}

// mark publishes a text to a queue, over a connection with this name, which the broker logs.
func (s *stack) mark(text, queue string) {
	s.t.Helper()
	channel := s.channel(text)
	s.confirmed(channel, queue, text)
}

// channel is a channel with confirms, of a connection with a name.
func (s *stack) channel(name string) *amqp.Channel {
	s.t.Helper()
	connection, err := amqp.DialConfig(amqpURL(), amqp.Config{Properties: amqp.Table{"connection_name": name}})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = connection.Close() })
	channel, err := connection.Channel()
	require.NoError(s.t, err)
	require.NoError(s.t, channel.Confirm(false))
	return channel
}

// confirmed publishes messages to a queue and waits until the broker has the last one.
func (s *stack) confirmed(channel *amqp.Channel, queue string, bodies ...string) {
	s.t.Helper()
	var last *amqp.DeferredConfirmation
	for _, body := range bodies {
		var err error
		last, err = channel.PublishWithDeferredConfirmWithContext(s.ctx, "", queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
		require.NoError(s.t, err)
	}
	ok, err := last.WaitContext(s.ctx)
	require.NoError(s.t, err)
	require.True(s.t, ok)
}

// rollOver has the broker write the files of queues anew, as a broker with some traffic does: three segments of other messages go through each, until
// none of the old texts is there.
func (s *stack) rollOver(old []string, queues ...string) {
	t := s.t
	t.Helper()
	// A segment has 4096 entries; a queue keeps what came since its last snapshot.
	fillers, channel := slices.Repeat([]string{"filler"}, 5000), s.channel("filler")
	for _, queue := range queues {
		for range 3 {
			s.confirmed(channel, queue, fillers...)
			_, err := channel.QueuePurge(queue, false)
			require.NoError(t, err)
		}
	}
	out, err := exec.CommandContext(s.ctx, testenv.RabbitMQControl(t), "eval", "ra_log_wal:force_roll_over(ra_log_wal).").CombinedOutput()
	require.NoError(t, err, "%s", out)
	// The broker deletes old files when it has time.
	require.Eventually(t, func() bool {
		files := filesOf(t, "data/rabbitmq")
		return !slices.ContainsFunc(old, func(text string) bool { return contains(files, text) })
	}, time.Minute, 200*time.Millisecond, "old messages stay in the files of the broker")
}

// filesOf is the content of the files in a folder of devstack. Files may go while it reads.
func filesOf(t *testing.T, folder string) (text []byte) {
	t.Helper()
	run := filepath.Dir(filepath.Dir(filepath.Dir(testenv.RabbitMQControl(t))))
	err := filepath.WalkDir(filepath.Join(run, folder), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var raw []byte
			raw, err = os.ReadFile(path)
			text = append(append(text, raw...), '\n')
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	require.NoError(t, err)
	return text
}
