package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
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

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// shortDetail is how much of a letter's detail a table shows.
const shortDetail = 72

func printLetters(w io.Writer, letters []deadletter.Letter) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "no dead letters")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LETTER\tSTATUS\tFAILED\tTYPE\tABOUT\tREASON\tDETAIL")
	for _, l := range letters {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Status, l.FailedAt.Format(time.RFC3339),
			orDash(l.Type), orDash(l.Subject), l.Reason, cutTo(l.Detail, shortDetail))
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func cutTo(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// printLetter prints everything about a letter.
func printLetter(w io.Writer, d deadletter.Letter, run deadletter.DryRun) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("letter", "%s", d.ID)
	row("status", "%s", d.Status)
	row("reason", "%s", d.Reason)
	row("detail", "%s", orDash(d.Detail))
	row("event", "%s, id %s, about %s", orDash(d.Type), orDash(d.EventID), orDash(d.Subject))
	row("origin", "exchange %q, routing key %q", d.OriginExchange, d.OriginRoutingKey)
	row("queue", "%s", orDash(printable(d.Queue)))
	row("attempts", "%d failed, %d times parked", d.Attempts, d.Parked)
	if !d.FirstSeen.IsZero() {
		row("first seen", "%s", d.FirstSeen.Format(time.RFC3339))
	}
	row("failed", "%s", d.FailedAt.Format(time.RFC3339))
	if !d.KeptUntil.IsZero() {
		row("kept until", "%s", d.KeptUntil.Format(time.RFC3339))
	}
	if d.ReplayOf != "" {
		row("replay of", "%s; replayed %d times before it died", d.ReplayOf, d.Replays)
	}
	row("payload", "%d bytes, SHA-256 %s", d.Size, d.PayloadHash)
	row("a replay", "%s", printable(run.Sentence))
	if run.Refusal != "" {
		row("", "is refused without --force: %s", printable(run.Refusal))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nhistory")
	table = tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, r := range d.History {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", r.Time.Format(time.RFC3339), r.Type, decisionOf(r))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\npayload")
	_, err := fmt.Fprintln(w, payloadText(d.Message.Body))
	return err
}

// decisionOf tells who decided what, and why.
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
		return fmt.Sprintf("(%d bytes that are no text; --body writes them)", len(body))
	}
	const most = 64 << 10
	text := string(body)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("\n(%d bytes more; --body writes all of it)", len(body)-most)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, text)
}

// replayLine is what became of one letter.
type replayLine struct {
	ID string `json:"id"`
	// Outcome is replayed, refused or failed; of a dry run, what would happen.
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	bad     bool
}

func (l *replayLine) replayed(err error) {
	switch {
	case err == nil:
		l.Outcome = "replayed"
	case errors.Is(err, fault.ResolutionRefused), errors.Is(err, fault.NotFound):
		l.Outcome, l.Detail, l.bad = "refused", reasonFor(err), true
	default:
		l.Outcome, l.Detail, l.bad = "failed", reasonFor(err), true
	}
}

func (l *replayLine) foresee(run deadletter.DryRun, err error) {
	if err != nil {
		l.Outcome, l.Detail, l.bad = "failed", reasonFor(err), true
		return
	}
	l.Outcome, l.Detail = run.Outcome, run.Sentence
	if run.Refusal != "" {
		l.Outcome, l.Detail, l.bad = "refused", "refused without --force: "+run.Refusal, true
	}
}

// replayReport is what became of a set of letters.
type replayReport struct {
	DryRun  bool         `json:"dryRun"`
	Letters []replayLine `json:"letters"`
	// Replayed, Refused and Failed count them; Untried are those that were left when the command was ended.
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

// print says what became of the letters. The error is errNotAll when it was not replayed for one of them.
func (r *replayReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if err := printJSON(w, r); err != nil {
			return err
		}
	} else {
		r.table(w)
	}
	if r.Refused+r.Failed+r.Untried > 0 {
		return errNotAll
	}
	return nil
}

func (r *replayReport) table(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range r.Letters {
		// Of a long list of what went well, the count is enough.
		switch {
		case l.Detail != "" && (l.bad || r.DryRun):
			fmt.Fprintf(table, "%s\t%s\t%s\n", l.ID, l.Outcome, printable(l.Detail))
		case len(r.Letters) == 1:
			fmt.Fprintf(table, "%s\t%s\n", l.ID, l.Outcome)
		}
	}
	_ = table.Flush()
	if r.DryRun {
		fmt.Fprintf(w, "letters looked at: %d; nothing was done\n", len(r.Letters))
		return
	}
	fmt.Fprintf(w, "%d replayed, %d refused, %d failed", r.Replayed, r.Refused, r.Failed)
	if r.Untried > 0 {
		fmt.Fprintf(w, ", %d not tried", r.Untried)
	}
	fmt.Fprintln(w)
}

// progress is a line that tells how far a set is.
type progress struct {
	w     io.Writer
	total int
	// every is after how many letters it is written: on a terminal the line is written over, elsewhere a few are enough.
	every    int
	over     string
	finished string
}

func newProgress(w io.Writer, total int) progress {
	p := progress{w: w, total: total, every: 100, finished: ""}
	p.over = "\n"
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.every, p.over, p.finished = 1, "\r", "\n"
		}
	}
	return p
}

func (p progress) step(r replayReport) {
	if done := len(r.Letters); p.total > 1 && (done%p.every == 0 || done == p.total) {
		fmt.Fprintf(p.w, "%d of %d, %d refused, %d failed%s", done, p.total, r.Refused, r.Failed, p.over)
	}
}

func (p progress) end() {
	if p.total > 1 {
		fmt.Fprint(p.w, p.finished)
	}
}
