package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// letterDetail is everything about a dead letter, for programs.
type letterDetail struct {
	deadletter.Letter
	deadletter.Content
	History []event.Record `json:"history"`
	// Replay is what a replay would come to.
	Replay deadletter.DryRun `json:"replay"`
}

// shortDetail is how much of a letter's detail a table shows.
const shortDetail = 72

func printLetters(w io.Writer, letters []deadletter.Letter) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "no dead letters")
		return err
	}
	rows := [][]string{{"LETTER", "STATUS", "FAILED", "TYPE", "ABOUT", "REASON", "DETAIL"}}
	for _, l := range letters {
		rows = append(rows, []string{
			l.ID, string(l.Status), l.FailedAt.Format(time.RFC3339), cmp.Or(l.Type, "-"), cmp.Or(l.Subject, "-"), string(l.Reason),
			shorten(l.Detail, shortDetail),
		})
	}
	return printTable(w, rows...)
}

func printLetter(w io.Writer, d letterDetail) error {
	var rows [][]string
	row := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	row("letter", "%s", d.ID)
	row("status", "%s", d.Status)
	row("reason", "%s", d.Reason)
	row("detail", "%s", cmp.Or(d.Detail, "-"))
	row("event", "%s, id %s, about %s", cmp.Or(d.Type, "-"), cmp.Or(d.EventID, "-"), cmp.Or(d.Subject, "-"))
	row("origin", "exchange %q, routing key %q", d.OriginExchange, d.OriginRoutingKey)
	row("queue", "%s", cmp.Or(printable(d.Queue), "-"))
	row("attempts", "%d failed, %d times parked", d.Attempts, d.Parked)
	if !d.FirstSeen.IsZero() {
		row("first seen", "%s", d.FirstSeen.Format(time.RFC3339))
	}
	row("failed", "%s", d.FailedAt.Format(time.RFC3339))
	if !d.KeptUntil.IsZero() {
		row("kept until", "%s", d.KeptUntil.Format(time.RFC3339))
	}
	if d.ReplayOf != "" {
		row("replay of", "%s; replayed %d times before it failed", d.ReplayOf, d.Replays)
	}
	row("payload", "%d bytes, SHA-256 %s", d.Size, d.PayloadHash)
	row("a replay", "%s", printable(d.Replay.Sentence))
	if d.Replay.Refusal != "" {
		row("", "is refused without --force: %s", printable(d.Replay.Refusal))
	}
	if err := printTable(w, rows...); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nhistory")
	rows = nil
	for _, r := range d.History {
		rows = append(rows, []string{"  " + r.Time.Format(time.RFC3339), r.Type, decisionOf(r)})
	}
	if err := printTable(w, rows...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\npayload\n%s\n", payloadText(d.Message.Body))
	return err
}

// decisionOf says what was decided, by whom, and why.
func decisionOf(r event.Record) string {
	data, err := event.Decode[struct {
		Replay                           int
		Reason, By, Note, AttemptID      string
		ReplacementHash, ReplayOf, Force any
	}](r.Event)
	if err != nil {
		return ""
	}
	var parts []string
	add := func(when bool, format string, args ...any) {
		if when {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(data.Reason != "", "%s", data.Reason)
	add(data.Replay > 0, "replay %d", data.Replay)
	add(data.ReplacementHash != nil, "with another payload")
	add(data.Force == true, "forced")
	add(data.By != "", "by %s", data.By)
	text := strings.Join(parts, ", ")
	if data.Note != "" {
		text += ": " + data.Note
	}
	return text
}

// payloadText is a payload as a terminal may show it.
func payloadText(body []byte) string {
	if !utf8.Valid(body) {
		return fmt.Sprintf("(%d bytes of binary data; --body writes them)", len(body))
	}
	const most = 64 << 10
	text := string(body)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("\n(%d more bytes; --body writes everything)", len(body)-most)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, text)
}

type replayLine struct {
	ID string `json:"id"`
	// Outcome is replayed, refused or failed; of a dry run, what would happen.
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	bad     bool
}

func replayedLine(id string, err error) replayLine {
	switch {
	case err == nil:
		return replayLine{ID: id, Outcome: "replayed"}
	case isRefusal(err):
		return replayLine{id, "refused", reasonText(err), true}
	}
	return replayLine{id, "failed", reasonText(err), true}
}

func dryRunLine(id string, run deadletter.DryRun, err error) replayLine {
	switch {
	case err != nil:
		return replayLine{id, "failed", reasonText(err), true}
	case run.Refusal != "":
		return replayLine{id, "refused", "refused without --force: " + run.Refusal, true}
	}
	return replayLine{ID: id, Outcome: run.Outcome, Detail: run.Sentence}
}

// isRefusal reports whether a decision was refused, and not interrupted by a failure.
func isRefusal(err error) bool {
	return errors.Is(err, fault.ResolutionRefused) || errors.Is(err, fault.NotFound)
}

// reasonText says why a decision was not carried out, for people.
func reasonText(err error) string {
	if isRefusal(err) {
		return fault.SafeMessage(err)
	}
	return err.Error()
}

type replayReport struct {
	DryRun  bool         `json:"dryRun"`
	Letters []replayLine `json:"letters"`
	// Replayed, Refused and Failed count them; Untried are those that were left when the command was interrupted.
	Replayed int `json:"replayed"`
	Refused  int `json:"refused"`
	Failed   int `json:"failed"`
	Untried  int `json:"untried"`
}

func (r *replayReport) add(l replayLine) {
	r.Letters = append(r.Letters, l)
	switch {
	case !l.bad && !r.DryRun:
		r.Replayed++
	case l.bad && l.Outcome == "refused":
		r.Refused++
	case l.bad:
		r.Failed++
	}
}

// printProgress prints how far a set is: on a terminal one line is written over, elsewhere every hundredth letter is enough.
func (r *replayReport) printProgress(w io.Writer, total int, interrupted bool) {
	done, every, end := len(r.Letters), 100, "\n"
	if isTerminal(w) {
		every = 1
		if done < total && !interrupted {
			end = "\r"
		}
	}
	if total > 1 && (done%every == 0 || done == total) {
		fmt.Fprintf(w, "%d of %d, %d refused, %d failed%s", done, total, r.Refused, r.Failed, end)
	}
}

// print prints the outcome. The error is errNotAll when a letter was not replayed, or would not be.
func (r *replayReport) print(w io.Writer, asJSON bool) (err error) {
	err = printValue(w, asJSON, r, func(w io.Writer, r *replayReport) error { return r.printText(w) })
	if err == nil && r.Refused+r.Failed+r.Untried > 0 {
		err = errNotAll
	}
	return err
}

func (r *replayReport) printText(w io.Writer) error {
	var rows [][]string
	for _, l := range r.Letters {
		// Of a long list of successes, the count is enough.
		switch {
		case l.Detail != "" && (l.bad || r.DryRun):
			rows = append(rows, []string{l.ID, l.Outcome, printable(l.Detail)})
		case len(r.Letters) == 1:
			rows = append(rows, []string{l.ID, l.Outcome})
		}
	}
	if err := printTable(w, rows...); err != nil {
		return err
	}
	if r.DryRun {
		_, err := fmt.Fprintf(w, "letters checked: %d; nothing was changed\n", len(r.Letters))
		return err
	}
	untried := ""
	if r.Untried > 0 {
		untried = fmt.Sprintf(", %d not tried", r.Untried)
	}
	_, err := fmt.Fprintf(w, "%d replayed, %d refused, %d failed%s\n", r.Replayed, r.Refused, r.Failed, untried)
	return err
}
