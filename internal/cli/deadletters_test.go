package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestLetterFilter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f, err := (&letterFilter{}).filter(now)
	require.NoError(t, err)
	require.Equal(t, deadletter.Filter{Statuses: deadletter.Undecided, Limit: cursor.MaxLimit}, f, "undecided letters")
	f, err = (&letterFilter{statuses: []string{"all"}}).filter(now)
	require.NoError(t, err)
	require.Empty(t, f.Statuses)
	f, err = (&letterFilter{reasons: []string{"invalid"}, types: []string{"order.created"}, statuses: []string{"replayed"}, olderThan: parsed(t, "5m"), newerThan: parsed(t, "2d")}).filter(now)
	require.NoError(t, err)
	require.Equal(t, deadletter.Filter{
		Reasons: []fault.Code{fault.Invalid}, Types: []string{"order.created"}, Statuses: []deadletter.Status{deadletter.StatusReplayed},
		To: now.Add(-5 * time.Minute), From: now.Add(-48 * time.Hour), Limit: cursor.MaxLimit,
	}, f)
	_, err = (&letterFilter{statuses: []string{"lost"}}).filter(now)
	require.Error(t, err)
	for _, wrong := range []string{"--older-than=soon", "--newer-than=-1s"} {
		cmd := deadListCommand()
		require.ErrorContains(t, cmd.ParseFlags([]string{wrong}), "expected a duration above zero")
	}
}

func parsed(t *testing.T, value string) (d duration) {
	require.NoError(t, d.Set(value))
	return d
}

func TestReplayNeedsLetterIDs(t *testing.T) {
	named, selected := []string{"a"}, &replayFlags{all: true}
	require.NoError(t, (&replayFlags{}).check(named))
	require.NoError(t, selected.check(nil))
	require.NoError(t, (&replayFlags{letterFilter: letterFilter{olderThan: parsed(t, "5m")}}).check(nil))
	require.NoError(t, (&replayFlags{bodyFile: "f"}).check(named))
	require.ErrorContains(t, (&replayFlags{}).check(nil), "give IDs, or select letters")
	require.ErrorContains(t, selected.check(named), "not both")
	require.ErrorContains(t, (&replayFlags{bodyFile: "f"}).check([]string{"a", "b"}), "one letter")
	require.ErrorContains(t, (&replayFlags{bodyFile: "f", all: true}).check(nil), "one letter")
	require.ErrorIs(t, (&replayFlags{request: deadletter.Request{By: "a b"}}).check(named), fault.Invalid)
}

func TestSummaryOfAReplay(t *testing.T) {
	report := func(errs ...error) (string, error) {
		var r replayReport
		for _, err := range errs {
			r.add(replayedLine("letter", err))
		}
		var out bytes.Buffer
		err := r.print(&out, false)
		return out.String(), err
	}
	text, err := report(nil, nil)
	require.NoError(t, err)
	require.Equal(t, "2 replayed, 0 refused, 0 failed\n", text)
	text, err = report(nil, fault.New(fault.ResolutionRefused, "it has been discarded"), errors.New("no broker"))
	require.ErrorIs(t, err, errNotAll)
	require.Equal(t, "letter  refused  it has been discarded\nletter  failed   no broker\n1 replayed, 1 refused, 1 failed\n", text)

	var dry replayReport
	dry.DryRun = true
	for _, run := range []deadletter.DryRun{
		{Preview: deadletter.Preview{Outcome: "start", Sentence: "would start order 42"}}, {Refusal: "it has been discarded"},
	} {
		dry.add(dryRunLine("letter", run, nil))
	}
	var out bytes.Buffer
	require.ErrorIs(t, dry.print(&out, true), errNotAll)
	require.Contains(t, out.String(), `"detail": "would start order 42"`)
	require.Contains(t, out.String(), `"refused": 1`)
}

// A payload never takes a terminal over.
func TestPayloadIsShownAsText(t *testing.T) {
	require.Equal(t, "{\n\t1}", payloadText([]byte("{\n\t1}")))
	require.Equal(t, "\uFFFD[2J", payloadText([]byte("\x1b[2J")))
	require.Contains(t, payloadText([]byte{0xff}), "1 bytes of binary data")
	require.Contains(t, payloadText(bytes.Repeat([]byte("é"), 64<<10)), "(65536 more bytes")
	require.True(t, strings.HasSuffix(shorten(strings.Repeat("x", 100), 10), "x…"))
}
