package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// DeadLetters is where people look at dead letters and decide about them. internal/deadletter has it.
type DeadLetters interface {
	List(ctx context.Context, f deadletter.Filter) (items []deadletter.Summary, next string, err error)
	Show(ctx context.Context, id string) (deadletter.Detail, error)
	DryRun(ctx context.Context, id string, r deadletter.Request) (deadletter.DryRun, error)
	Replay(ctx context.Context, id string, r deadletter.Request) (deadletter.Detail, error)
	Discard(ctx context.Context, id string, r deadletter.Request) (deadletter.Detail, error)
}

// maxShownPayload is the largest payload that an answer has; a larger one is left out.
const maxShownPayload = 8 << 20

// deadItem is a dead letter in a list.
type deadItem struct {
	ID               string            `json:"id"`
	Status           deadletter.Status `json:"status"`
	Reason           fault.Code        `json:"reason"`
	Detail           string            `json:"detail"`
	Type             string            `json:"type"`
	EventID          string            `json:"eventId"`
	Subject          string            `json:"subject"`
	OriginExchange   string            `json:"originExchange"`
	OriginRoutingKey string            `json:"originRoutingKey"`
	Attempts         int               `json:"attempts"`
	Parked           int               `json:"parked"`
	Queue            string            `json:"queue"`
	ReplayOf         *string           `json:"replayOf"`
	Replays          int               `json:"replays"`
	PayloadHash      string            `json:"payloadHash"`
	Size             int               `json:"size"`
	FirstSeen        *instant          `json:"firstSeen"`
	FailedAt         instant           `json:"failedAt"`
	KeptAt           instant           `json:"keptAt"`
	KeptUntil        *instant          `json:"keptUntil,omitempty"`
	CorrelationID    string            `json:"correlationId"`
	Links            deadLinks         `json:"links"`
}

type deadLinks struct {
	Self    string `json:"self"`
	Replay  string `json:"replay"`
	Discard string `json:"discard"`
}

// deadResource is everything about a dead letter.
type deadResource struct {
	deadItem
	Properties deadProperties `json:"properties"`
	Headers    map[string]any `json:"headers"`
	// Payload is text or base64, as PayloadEncoding says; null when it is too large to be shown.
	Payload         *string        `json:"payload"`
	PayloadEncoding string         `json:"payloadEncoding"`
	History         []timelineItem `json:"history"`
}

// deadProperties are what the message's sender said besides its headers.
type deadProperties struct {
	ContentType     string   `json:"contentType"`
	ContentEncoding string   `json:"contentEncoding"`
	MessageID       string   `json:"messageId"`
	CorrelationID   string   `json:"correlationId"`
	Type            string   `json:"type"`
	AppID           string   `json:"appId"`
	Timestamp       *instant `json:"timestamp"`
}

// dryRun is what a replay would come to.
type dryRun struct {
	ID      string  `json:"id"`
	DryRun  bool    `json:"dryRun"`
	Outcome string  `json:"outcome"`
	Would   string  `json:"would"`
	OrderID *string `json:"orderId"`
	// Refusal says why the letter would not be replayed.
	Refusal *string `json:"refusal"`
}

// listDead is GET /v1/dead-letters: a page of dead letters, those that failed last first.
func (s *Server) listDead(c echo.Context) error {
	q := queryOf(c, "reason", "type", "status", "failedFrom", "failedTo", "limit", "cursor")
	f := deadletter.Filter{Limit: q.limit(defaultPage), Cursor: q.cursor(), Types: q.words("type")}
	for _, reason := range q.words("reason") {
		f.Reasons = append(f.Reasons, fault.Code(reason))
	}
	for _, status := range q.words("status") {
		f.Statuses = append(f.Statuses, deadletter.Status(status))
	}
	f.From, _ = q.time("failedFrom")
	f.To, _ = q.time("failedTo")
	if err := q.err(); err != nil {
		return err
	}
	if err := f.Validate(); err != nil {
		return fromList(err)
	}
	ctx, cancel := s.ask(c)
	defer cancel()
	found, next, err := s.cfg.DeadLetters.List(ctx, f)
	if err != nil {
		return fromList(err)
	}
	items := make([]deadItem, len(found))
	for i, l := range found {
		items[i] = deadItemOf(l)
	}
	return writeJSON(c, http.StatusOK, pageOf(items, next))
}

// words returns the values of ?name=a,b&name=c.
func (q *query) words(name string) []string {
	var words []string
	for _, value := range q.values[name] {
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
	}
	return words
}

func deadItemOf(l deadletter.Summary) deadItem {
	self := "/v1/dead-letters/" + l.ID
	i := deadItem{
		ID: l.ID, Status: l.Status, Reason: l.Reason, Detail: l.Detail, Type: l.Type, EventID: l.EventID, Subject: l.Subject,
		OriginExchange: l.Message.Exchange, OriginRoutingKey: l.Message.RoutingKey, Queue: l.Queue, Attempts: l.Attempts, Parked: l.Parked,
		Replays: l.Replays, PayloadHash: l.PayloadHash, Size: l.Size, FirstSeen: instantOf(l.FirstSeen),
		FailedAt: instant(l.FailedAt), KeptAt: instant(l.KeptAt), KeptUntil: instantOf(l.KeptUntil()), CorrelationID: l.CorrelationID,
		Links: deadLinks{self, self + "/replay", self + "/discard"},
	}
	if l.ReplayOf != "" {
		i.ReplayOf = &l.ReplayOf
	}
	return i
}

func deadResourceOf(d deadletter.Detail) deadResource {
	m := d.Message
	r := deadResource{
		deadItem: deadItemOf(d.Summary), Headers: map[string]any{}, History: make([]timelineItem, len(d.History)),
		Properties: deadProperties{m.ContentType, m.ContentEncoding, m.MessageID, m.CorrelationID, m.Type, m.AppID, instantOf(m.Timestamp)},
	}
	for name, value := range m.Headers {
		r.Headers[name] = showable(value)
	}
	for i, record := range d.History {
		r.History[i] = itemOf(record)
	}
	r.Payload, r.PayloadEncoding = payloadOf(m.Body)
	return r
}

// payloadOf returns a payload and how it is written.
func payloadOf(body []byte) (*string, string) {
	switch {
	case len(body) > maxShownPayload:
		return nil, "omitted"
	case utf8.Valid(body):
		text := string(body)
		return &text, "text"
	}
	text := base64.StdEncoding.EncodeToString(body)
	return &text, "base64"
}

// showable is a header's value as JSON can say it; bytes are base64, as encoding/json has them.
func showable(value any) any {
	if at, isTime := value.(time.Time); isTime {
		return instant(at)
	}
	if _, err := json.Marshal(value); err != nil {
		return nil // a number that is none
	}
	return value
}

// getDead is GET /v1/dead-letters/{id}.
func (s *Server) getDead(c echo.Context) error {
	id, err := letterID(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.ask(c)
	defer cancel()
	d, err := s.cfg.DeadLetters.Show(ctx, id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, deadResourceOf(d))
}

// letterID returns the letter that the path names.
func letterID(c echo.Context) (string, error) {
	id := c.Param("id")
	if !event.ValidID(id) {
		return "", fault.New(fault.NotFound, "there is no such dead letter")
	}
	return id, nil
}

// replayDead is POST /v1/dead-letters/{id}/replay: the letter is sent to the inbox again, or with ?dryRun=true what would
// come of that is told.
func (s *Server) replayDead(c echo.Context) error {
	q := queryOf(c, "dryRun")
	dry := q.one("dryRun")
	if dry != "" && dry != "true" && dry != "false" {
		q.add("dryRun", "must be true or false")
	}
	if err := q.err(); err != nil {
		return err
	}
	id, r, err := s.letterRequest(c, "replay", decodeReplay)
	if err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	ctx, cancel := s.ask(c)
	defer cancel()
	if dry == "true" {
		return s.dryRun(ctx, c, id, r)
	}
	d, err := s.cfg.DeadLetters.Replay(ctx, id, r)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, deadResourceOf(d))
}

func (s *Server) dryRun(ctx context.Context, c echo.Context, id string, r deadletter.Request) error {
	run, err := s.cfg.DeadLetters.DryRun(ctx, id, r)
	if err != nil {
		return err
	}
	answer := dryRun{ID: id, DryRun: true, Outcome: run.Outcome, Would: run.Sentence}
	if run.OrderID != "" {
		answer.OrderID = &run.OrderID
	}
	if run.Refusal != "" {
		answer.Refusal = &run.Refusal
	}
	return writeJSON(c, http.StatusOK, answer)
}

// discardDead is POST /v1/dead-letters/{id}/discard.
func (s *Server) discardDead(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	id, r, err := s.letterRequest(c, "discard", decodeDiscard)
	if err != nil {
		return err
	}
	if err := r.ValidateDiscard(); err != nil {
		return err
	}
	ctx, cancel := s.ask(c)
	defer cancel()
	d, err := s.cfg.DeadLetters.Discard(ctx, id, r)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, deadResourceOf(d))
}

// letterRequest is what a POST about a dead letter brings. Its body may be missing.
func (s *Server) letterRequest(
	c echo.Context, what string, decode func(body []byte) (deadletter.Request, error),
) (id string, r deadletter.Request, err error) {
	if id, err = letterID(c); err != nil {
		return id, r, err
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return id, r, err
	}
	body, err := s.readBody(c)
	if err != nil {
		return id, r, err
	}
	if len(body) > 0 {
		if r, err = decode(body); err != nil {
			return id, r, err
		}
	}
	r.ID = s.requestID(c, key, "dead letter "+what, id)
	return id, r, nil
}
