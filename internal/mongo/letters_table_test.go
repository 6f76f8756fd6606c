package mongo

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// openTable returns letters that are listed from memory, whatever the server and the number of letters.
func openTable(t *testing.T) *Letters {
	t.Helper()
	l := NewLetters(as(connect(t), FerretDB1))
	l.small = -1
	return l
}

func TestLettersWithATable(t *testing.T) {
	deadlettertest.Run(t, func(t *testing.T) deadletter.Store { return openTable(t) })
}

// TestATableKnowsWhatThisProcessWrites: letters and marks from before it was read, while it is read, and after.
func TestATableKnowsWhatThisProcessWrites(t *testing.T) {
	synctest.Test(t, tableOfWrites) // no time passes, so that nothing is read again
}

func tableOfWrites(t *testing.T) {
	var tb table
	at := func(id string, status deadletter.Status, version int64) row {
		return row{ID: id, Kind: kindLetter, Status: status, Version: version}
	}
	begun, read := make(chan struct{}), make(chan []row)
	reads := 0
	reader := func(context.Context) ([]row, error) {
		reads++
		close(begun)
		return <-read, nil
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tb.get(impatient, reader)
	require.ErrorIs(t, err, context.Canceled)
	<-begun
	tb.put(at("new", deadletter.StatusOpen, 0))
	tb.put(at("changed", deadletter.StatusDiscarded, 2))
	read <- []row{at("old", deadletter.StatusOpen, 1), at("changed", deadletter.StatusOpen, 1)}
	rows, err := tb.get(t.Context(), reader)
	require.NoError(t, err)
	require.Equal(t, 1, reads, "callers share it, and one that leaves does not end it")
	require.Len(t, rows, 3)
	require.Equal(t, deadletter.StatusDiscarded, rows["changed"].Status)

	tb.mu.Lock()
	tb.next = time.Now().Add(time.Hour)
	tb.mu.Unlock()
	tb.mark("old", deadletter.StatusReplayed, 3)
	tb.mark("old", deadletter.StatusOpen, 2)
	rows, err = tb.get(t.Context(), reader)
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusReplayed, rows["old"].Status)
}

// TestATableThatCannotBeReadIsReadAgain, and one that was read is of use until it was read again.
func TestATableThatCannotBeReadIsReadAgain(t *testing.T) {
	var tb table
	_, err := tb.get(t.Context(), func(context.Context) ([]row, error) { return nil, errors.New("away") })
	require.ErrorContains(t, err, "away")
	rows, err := tb.get(t.Context(), func(context.Context) ([]row, error) { return []row{{ID: "1"}}, nil })
	require.NoError(t, err)
	require.Len(t, rows, 1)
	tb.mu.Lock()
	tb.next = time.Time{}
	tb.mu.Unlock()
	read := make(chan []row)
	rows, err = tb.get(t.Context(), func(context.Context) ([]row, error) { return <-read, nil })
	require.NoError(t, err)
	require.Len(t, rows, 1, "nobody waits for it")
	read <- []row{{ID: "1"}, {ID: "2"}}
	require.Eventually(t, func() bool {
		rows, err := tb.get(t.Context(), func(context.Context) ([]row, error) { return []row{{ID: "1"}, {ID: "2"}}, nil })
		return err == nil && len(rows) == 2
	}, testenv.Patience, time.Millisecond)
}
