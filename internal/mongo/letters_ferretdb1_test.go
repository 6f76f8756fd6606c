package mongo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
)

// The mode for FerretDB 1 is correct on every server and only slower.
func TestLettersOnFerretDB1(t *testing.T) {
	deadlettertest.Run(t, func(t *testing.T) deadletter.Store { return NewLetters(as(connect(t), FerretDB1)) })
}

// TestOldLettersAreListedOnFerretDB1: it kept no copies of them.
func TestOldLettersAreListedOnFerretDB1(t *testing.T) {
	db := connect(t)
	older, l := NewLetters(as(db, MongoDB)), NewLetters(as(db, FerretDB1))
	older.inline = 4
	var want []string
	for n := range 3 {
		dead := deadlettertest.Letter(n, []byte("in parts"))
		_, err := older.Insert(t.Context(), dead)
		require.NoError(t, err)
		want = append(want, dead.ID)
	}
	require.NoError(t, l.Mark(t.Context(), want[0], deadletter.StatusReplayed, 3))
	for range 2 {
		items, _, err := l.List(t.Context(), deadletter.Filter{})
		require.NoError(t, err)
		var got []string
		for _, item := range items {
			got = append(got, item.ID)
			require.Equal(t, item.ID == want[0], item.Status == deadletter.StatusReplayed)
		}
		require.ElementsMatch(t, want, got)
	}
}
