package console

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"
)

// functions are what templates call.
var functions = template.FuncMap{
	"at": at, "clock": clock, "iso": iso, "since": since, "words": words, "money": money, "tone": tone, "indent": indent, "sagaPath": sagaPath,
	"stockPath": stockPath, "count": countText, "number": number, "attempts": attempts, "number64": func(n int) string { return number(int64(n)) },
}

func sagaPath(flow, id string) string {
	return "/console/sagas/" + url.PathEscape(flow) + "/" + url.PathEscape(id)
}

func stockPath(sku string) string { return "/console/stock/" + url.PathEscape(sku) }

// orderFlow is the name of the flow of orders, which have a customer, money and stock.
const orderFlow = "order"

func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func at(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// since is the time between two times.
func since(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	d := max(0, to.Sub(from))
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

// attempts counts attempts.
func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return number(int64(n)) + " attempts"
}

// words makes a name of the API words: needs_attention is "needs attention".
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// money writes an amount of minor units in its currency.
func money(amount int64, code string) string {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return number(amount) + " " + code
	}
	scale, _ := currency.Standard.Rounding(unit)
	sign := ""
	if amount < 0 {
		sign, amount = "−", -amount
	}
	digits := strconv.FormatInt(amount, 10)
	for len(digits) <= scale {
		digits = "0" + digits
	}
	whole, rest := digits[:len(digits)-scale], digits[len(digits)-scale:]
	if rest != "" {
		rest = "." + rest
	}
	return sign + grouped(whole) + rest + " " + unit.String()
}

// number writes an integer with a thin space between groups of three digits.
func number(n int64) string {
	if n < 0 {
		return "−" + grouped(strconv.FormatInt(-n, 10))
	}
	return grouped(strconv.FormatInt(n, 10))
}

func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// countText writes a count, which may have ended at its bound.
func countText(n int64) string {
	if n >= maxCount {
		return number(maxCount-1) + "+"
	}
	return number(n)
}

// Tones of statuses and states: colours, always beside the word.
const (
	toneDone      = "done"
	toneActive    = "active"
	toneAttention = "attention"
	toneBad       = "bad"
	toneCalm      = "calm"
)

// tone is the tone of the status of a saga, the state of a step or the status of a dead letter.
func tone(status string) string {
	switch status {
	case "completed", "done", "replayed", "retried", "ok", "substituted", "delivered", "refunded":
		return toneDone
	case "needs_attention", "unknown", "open", "lost":
		return toneAttention
	case "rejected", "failed", "refused", "failing", "expired":
		return toneBad
	case "cancelled", "compensated", "skipped", "discarded", "pending", "released":
		return toneCalm
	}
	return toneActive
}

// indent writes JSON for people. What is no JSON is shown as it is.
func indent(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// mark is the sign of a state, beside its word.
func mark(state string) string {
	switch state {
	case "done":
		return "✓"
	case "running", "compensating":
		return "▶"
	case "refused":
		return "✗"
	case "unknown":
		return "!"
	case "compensated":
		return "↩"
	case "skipped":
		return "–"
	case "substituted":
		return "≈"
	}
	return "○"
}
