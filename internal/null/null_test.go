package null_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/null"
)

func TestEmptyValuesAreNull(t *testing.T) {
	type values struct {
		Text null.Text `json:"text"`
		At   null.Time `json:"at"`
		Left null.Time `json:"left,omitzero"`
	}
	at := time.Date(2026, 11, 21, 19, 30, 0, 120e6, time.FixedZone("", 3600))
	for want, v := range map[string]values{
		`{"text":null,"at":null}`: {},
		`{"text":"a\"b","at":"2026-11-21T18:30:00.120Z","left":"2026-11-21T18:30:00.120Z"}`: {`a"b`, null.At(at), null.At(at)},
		`{"text":null,"at":"12026-01-01T00:00:00.000Z"}`:                                    {At: null.At(time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC))},
	} {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		require.JSONEq(t, want, string(raw))
	}
	raw, err := json.Marshal(null.Text("<a>"))
	require.NoError(t, err)
	require.Equal(t, `"\u003ca\u003e"`, string(raw))
	raw, err = null.Text("<a>").MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, "\"<a>\"\n", string(raw), "the caller decides about HTML")
}
