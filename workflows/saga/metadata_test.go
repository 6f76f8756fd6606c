package saga_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// The server's defaults: limit.userMetadataSummarySize, limit.userMetadataDetailsSize.
const serverSummary, serverDetails = 400, 20_000

// TestSummariesFitTheServersLimit, whatever is in them.
func TestSummariesFitTheServersLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("<\u2028\"€😀a")), 0, 5000, -1)).Draw(t, "text")
		for _, c := range []struct {
			got           string
			limit, server int
		}{{saga.Summary(text), saga.MaxSummary, serverSummary}, {saga.Details(text), saga.MaxDetails, serverDetails}} {
			raw, err := json.Marshal(c.got)
			require.NoError(t, err)
			require.LessOrEqual(t, len(raw), c.limit)
			payload, err := converter.GetDefaultDataConverter().ToPayload(c.got)
			require.NoError(t, err)
			require.LessOrEqual(t, payload.Size(), c.server)
			require.True(t, utf8.ValidString(c.got))
			if all, _ := json.Marshal(text); len(all) <= c.limit {
				require.Equal(t, text, c.got)
			} else {
				kept, cut := strings.CutSuffix(c.got, "…")
				require.True(t, cut)
				require.True(t, strings.HasPrefix(text, kept))
				require.Greater(t, len(raw), c.limit-16, "no more is cut than has to be")
			}
		}
	})
	require.Equal(t, "retrying: commit the stock", saga.Summary("retrying: commit the stock"))
}
