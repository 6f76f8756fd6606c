package console

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type deadPage struct {
	Status, Reason string
	Statuses       []string
	Items          []deadLetter
	Newest, Older  string
	Live           bool
	Problem        *failure
}

// waiting are the statuses of letters that wait for a decision, or for what follows from one.
const waiting = "open,retrying,replaying"

// deadStatuses are the other choices of the filter.
var deadStatuses = []string{"open", "retrying", "retried", "replaying", "replayed", "discarded", "all"}

func listDead(p *request) error {
	query := p.r.URL.Query()
	d := deadPage{Status: query.Get("status"), Statuses: deadStatuses, Reason: strings.TrimSpace(query.Get("reason")), Live: query.Get("cursor") == ""}
	asked, kept := url.Values{"limit": {pageSize}}, url.Values{}
	switch d.Status {
	case "":
		asked.Set("status", waiting)
	case "all":
		kept.Set("status", "all")
	default:
		asked.Set("status", d.Status)
		kept.Set("status", d.Status)
	}
	if d.Reason != "" {
		asked.Set("reason", d.Reason)
		kept.Set("reason", d.Reason)
	}
	if cursor := query.Get("cursor"); cursor != "" {
		asked.Set("cursor", cursor)
		d.Newest = "/console/dead-letters?" + kept.Encode()
	}
	var found page[deadLetter]
	err := p.get("/v1/dead-letters?"+asked.Encode(), &found)
	if f := failureOf(err); err != nil && f.Status == http.StatusUnprocessableEntity {
		d.Problem, err = &f, nil
	}
	if err != nil {
		return err
	}
	d.Items = found.Items
	if found.NextCursor != "" {
		kept.Set("cursor", found.NextCursor)
		d.Older = "/console/dead-letters?" + kept.Encode()
	}
	return p.render(http.StatusOK, "dead", "Dead letters", d)
}

type letterPage struct {
	Letter deadLetter
	Path   string
	Lines  []payloadLine
	// At is where the payload is wrong; 0 when that is unknown.
	At int
	// Text is the content of the editor, Editable that the payload is text that may be replaced.
	Text     string
	Editable bool
	Note     string
	History  []shownEvent
	// Run is what a replay of Text would come to; nil before a dry run. Changed reports that Text is not the payload.
	Run     *dryRun
	Changed bool
	Key     string
	Error   *failure
}

type dryRun struct {
	Outcome string `json:"outcome"`
	Would   string `json:"would"`
	OrderID string `json:"orderId"`
	Refusal string `json:"refusal"`
}

// payloadLine is a line of the payload.
type payloadLine struct {
	Number int
	Text   string
	// Wrong reports that the error is here.
	Wrong bool
}

func letterTarget(id string) string { return "/v1/dead-letters/" + url.PathEscape(id) }

func letterPath(id string) string { return "/console/dead-letters/" + url.PathEscape(id) }

func showDead(p *request) error {
	l, err := p.loadLetter()
	if err != nil {
		return err
	}
	return p.render(http.StatusOK, "letter", "Dead letter", l)
}

func (p *request) loadLetter() (letterPage, error) {
	l := letterPage{Key: rand.Text()}
	if err := p.get(letterTarget(p.r.PathValue("id")), &l.Letter); err != nil {
		return l, err
	}
	l.Path = letterPath(l.Letter.ID)
	l.History, _ = shown(l.Letter.History, l.Letter.FailedAt)
	if l.Letter.Payload != nil && l.Letter.PayloadEncoding == "text" {
		l.Editable = true
		l.Text = pretty(*l.Letter.Payload)
		l.At = errorLine(l.Text, l.Letter.Detail)
		for i, text := range strings.Split(strings.TrimSuffix(l.Text, "\n"), "\n") {
			l.Lines = append(l.Lines, payloadLine{i + 1, text, i+1 == l.At})
		}
	}
	return l, nil
}

// pretty indents JSON; what is none stays as it is.
func pretty(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// errorLine is the line of a payload that an error is about: where it stops being JSON, or what a pointer in the error names. 0 is unknown.
func errorLine(text, detail string) int {
	var syntax *json.SyntaxError
	if err := json.Unmarshal([]byte(text), new(any)); errors.As(err, &syntax) {
		return 1 + strings.Count(text[:min(int(max(syntax.Offset-1, 0)), len(text))], "\n")
	}
	for _, part := range strings.Split(detail, "; ") {
		pointer, _, found := strings.Cut(part, ": ")
		if !found || !strings.HasPrefix(pointer, "/") {
			continue
		}
		if at := pointerOffset(text, strings.Split(pointer[1:], "/")); at >= 0 {
			return 1 + strings.Count(text[:at], "\n")
		}
	}
	return 0
}

// pointerOffset is the offset of the value that a JSON pointer names; of the innermost one that is there when it is missing.
func pointerOffset(text string, path []string) int {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	best := -1
	var walk func(depth int, matches bool) error
	walk = func(depth int, matches bool) error {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		if matches {
			best = int(decoder.InputOffset()) - 1
		}
		delim, nested := token.(json.Delim)
		if !nested {
			return nil
		}
		for i := 0; decoder.More(); i++ {
			name := strconv.Itoa(i)
			if delim == '{' {
				key, err := decoder.Token()
				if err != nil {
					return err
				}
				name = fmt.Sprint(key)
			}
			if err := walk(depth+1, matches && depth < len(path) && unescaped(path[depth]) == name); err != nil {
				return err
			}
		}
		_, err = decoder.Token()
		return err
	}
	if err := walk(0, true); err != nil && !errors.Is(err, io.EOF) {
		return -1
	}
	return min(best, len(text))
}

// unescaped is a part of a JSON pointer (RFC 6901, 4).
func unescaped(part string) string {
	return strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
}

// replayDead makes a dry run, or replays what the dry run before was about.
func replayDead(p *request) error {
	l, err := p.loadLetter()
	if err != nil {
		return err
	}
	form := p.r.PostForm
	original := l.Text
	if l.Editable {
		l.Text = strings.ReplaceAll(form.Get("payload"), "\r\n", "\n")
	}
	l.Note, l.Changed = form.Get("note"), l.Text != original
	body := map[string]any{}
	if l.Note != "" {
		body["note"] = l.Note
	}
	if l.Changed {
		body["body"] = compact(l.Text)
	}
	target := letterTarget(l.Letter.ID) + "/replay"
	if form.Get("do") == "replay" {
		if err := p.post(target, body, nil); err != nil {
			return p.letterFailed(l, err)
		}
		return p.redirect(l.Path + "?done=replayed")
	}
	l.Run = new(dryRun)
	if err := p.post(target+"?dryRun=true", body, l.Run); err != nil {
		return p.letterFailed(l, err)
	}
	return p.render(http.StatusOK, "letter", "Dead letter", l)
}

// compact removes the indentation of JSON; what is none is sent as it is.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

func (p *request) letterFailed(l letterPage, err error) error {
	f := failureOf(err)
	if f.Status == http.StatusUnauthorized {
		return err
	}
	l.Run, l.Error = nil, &f
	return p.render(f.Status, "letter", "Dead letter", l)
}

func askDiscard(p *request) error { return p.askDiscard(nil) }

func (p *request) askDiscard(failed error) error {
	l, err := p.loadLetter()
	if err != nil {
		return err
	}
	return p.confirm(confirmation{
		Heading: "Discard dead letter", Subject: l.Letter.Type + " " + l.Letter.ID, Back: l.Path, Action: l.Path + "/discard", Button: "Discard this dead letter", Danger: true,
		Consequences: []string{
			"The message is never handled: what it says does not happen.",
			"The dead letter stays readable until it expires. It cannot be opened again.",
		},
		Fields: []field{{Name: "note", Label: "Note", Hint: "The reason. Recorded in the event log. No personal data.", Required: true, Max: 250}},
	}, failed)
}

func discardDead(p *request) error {
	id := p.r.PathValue("id")
	if err := p.post(letterTarget(id)+"/discard", map[string]string{"note": strings.TrimSpace(p.r.PostForm.Get("note"))}, nil); err != nil {
		return p.askDiscard(err)
	}
	return p.redirect(letterPath(id) + "?done=discarded")
}
