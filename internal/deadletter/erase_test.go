package deadletter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestLettersAboutCustomerAreErased(t *testing.T) {
	w := newWorld(t)
	var want []string
	for _, body := range []string{
		`{"customerId": "c-7"}`, `{"data": {"deep": ["c-7"]}}`, `{"userId": "c-7"`, "c-7", "\x00c-7", `{"a": 1} {"customerId": "c-7"}`, `{"customerId": "c\u002d7"}`,
	} {
		want = append(want, w.kept(post(fault.Malformed, body)))
	}
	replaced := w.kept(post(fault.Malformed, `{"customerId": "c-9"}`))
	_, err := w.service.Replay(t.Context(), replaced, deadletter.Request{Body: []byte(`{"customerId": "c-7"}`)})
	require.NoError(t, err)
	want = append(want, replaced)
	other := w.kept(post(fault.Malformed, `{"customerId": "c-77", "note": "not c-7"}`))

	read := 0
	found, err := w.service.About(t.Context(), "c-7", func(n int) { read = n })
	require.NoError(t, err)
	require.ElementsMatch(t, want, found)
	require.Equal(t, len(want)+1, read)
	for _, id := range append(found, "unknown") {
		require.NoError(t, w.service.Erase(t.Context(), id, "ada"))
		require.NoError(t, w.service.Erase(t.Context(), id, "ada"), "it may be repeated")
		require.False(t, w.exists(id))
	}
	require.True(t, w.exists(other))
	types := w.types(want[0])
	require.Equal(t, "dead.discarded", types[len(types)-1])
	types = w.types(replaced)
	require.Equal(t, "dead.replayed", types[len(types)-1], "it was decided before")
	found, err = w.service.About(t.Context(), "c-7", func(int) {})
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestNumbersNameCustomers(t *testing.T) {
	w := newWorld(t)
	want := []string{w.kept(post(fault.Malformed, `{"userId": 7}`)), w.kept(post(fault.Malformed, `{"data": {"customerId": 7}}`))}
	w.kept(post(fault.Malformed, `{"quantity": 7}`))
	found, err := w.service.About(t.Context(), "7", func(int) {})
	require.NoError(t, err)
	require.ElementsMatch(t, want, found)
}
