package console

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// shownEvents is how many events of a saga are shown, the newest.
	shownEvents = 500
	// shownSKUs is of how many SKUs of an order the stock is shown.
	shownSKUs = 20
)

type sagaPage struct {
	Saga  sagaResource
	Path  string
	Ended bool
	// Latest is the newest version. Past reports that the page shows the state after an earlier event.
	Latest  int64
	Past    bool
	Drawing drawing
	Events  []shownEvent
	// Omitted reports that there are older events.
	Omitted bool
	// Stream is where the page hears of events; empty when none follow.
	Stream string
	// Order is nil for sagas of other flows.
	Order *orderResource
	Money []movement
	Stock []balance
	After afterSale
	// Live is how the page is refreshed: by its stream, or at intervals while a refund or a return of an order that has ended is under way.
	Live string
	// CanCancel and CanResolve report that the caller may do so, and that there is something to do.
	CanCancel, CanResolve bool
	Decisions             []decision
}

// shownEvent is an event with what is said about it.
type shownEvent struct {
	timelineEvent
	// After is the time since the saga was accepted.
	After string
	// Summary has what people look for in the data. Cause is the version of the event in this saga that caused it, 0 when it is elsewhere.
	Summary []fact
	Cause   int64
}

type fact struct{ Name, Value string }

// movement is an event that is about money.
type movement struct {
	Type     string
	At       time.Time
	Amount   int64
	Currency string
}

func (p *request) sagaOf() (flow, id string) { return p.r.PathValue("flow"), p.r.PathValue("id") }

func (p *request) loadSaga() (s sagaResource, err error) {
	flow, id := p.sagaOf()
	err = p.get(sagaTarget(flow, id), &s)
	return s, err
}

func showSaga(p *request) error {
	s, err := p.loadSaga()
	if err != nil {
		return err
	}
	now, latest := p.cfg.Clock(), s.Version
	version := p.r.URL.Query().Get("version")
	past := version != "" && version != strconv.FormatInt(latest, 10)
	if past {
		s = sagaResource{}
		if err := p.get(sagaTarget(p.sagaOf())+"?version="+url.QueryEscape(version), &s); err != nil {
			return err
		}
		now = s.UpdatedAt
	}
	page := sagaPage{
		Saga: s, Path: sagaPath(s.Flow, s.ID), Ended: isEnded(s.Status), Latest: latest, Past: past, Drawing: draw(p.flow(s.Flow), s, now),
	}
	after := max(0, s.Version-shownEvents)
	page.Omitted = after > 0
	events, err := p.events(sagaTarget(s.Flow, s.ID), after)
	if err != nil {
		return err
	}
	events = slices.DeleteFunc(events, func(e timelineEvent) bool { return past && e.Version > s.Version })
	page.Events, page.Money = shown(events, s.CreatedAt)
	if !page.Ended && !past {
		page.Stream, page.Live = page.Path+"/live?cursor="+strconv.FormatInt(s.Version, 10), "stream"
	}
	if s.Flow == orderFlow {
		if err := p.addOrder(&page); err != nil {
			return err
		}
	}
	if past {
		return p.render(http.StatusOK, "saga", s.Flow+" "+s.ID, page)
	}
	info := p.flow(s.Flow)
	cancels := p.caller.Has(auth.SagasWrite) && (s.Flow != orderFlow || p.caller.Has(auth.OrdersWrite))
	page.CanCancel = cancels && !page.Ended && !info.Endless && !goesBack(s)
	if s.Attention != nil {
		page.Decisions = decisionsOf(s.Flow, *s.Attention)
		page.CanResolve = p.caller.Has(auth.Operate)
	}
	return p.render(http.StatusOK, "saga", s.Flow+" "+s.ID, page)
}

// flow describes a flow; the zero Info when this process does not have it.
func (p *request) flow(name string) saga.Info {
	i := slices.IndexFunc(p.cfg.Flows, func(f saga.Info) bool { return f.Name == name })
	if i < 0 {
		return saga.Info{Name: name}
	}
	return p.cfg.Flows[i]
}

// events reads a page of events.
func (p *request) events(target string, after int64) ([]timelineEvent, error) {
	var found page[timelineEvent]
	err := p.get(target+"/events?limit="+strconv.Itoa(shownEvents)+"&cursor="+strconv.FormatInt(after, 10), &found)
	return found.Items, err
}

func (p *request) addOrder(page *sagaPage) error {
	page.Order = new(orderResource)
	if err := p.get(orderTarget(page.Saga.ID), page.Order); err != nil {
		return err
	}
	if page.Past {
		page.Order.Parcels = nil // as they are now
		return nil
	}
	if err := p.addAfterSale(page); err != nil {
		return err
	}
	if page.Ended && page.After.open() {
		page.Live = "poll"
	}
	if !p.caller.Has(auth.StockRead) {
		return nil
	}
	var skus []string
	for _, line := range page.Order.Lines {
		if line.Stocked && !slices.Contains(skus, line.SKU) && len(skus) < shownSKUs {
			skus = append(skus, line.SKU)
		}
	}
	for _, sku := range skus {
		var b balance
		// A page without a balance is better than none.
		if err := p.get("/v1/stock/"+url.PathEscape(sku), &b); err == nil {
			page.Stock = append(page.Stock, b)
		}
	}
	return nil
}

// shown makes events what the page shows, and picks those about money.
func shown(events []timelineEvent, created time.Time) (all []shownEvent, money []movement) {
	versions := make(map[string]int64)
	for _, e := range events {
		versions[e.ID] = e.Version
		s := shownEvent{timelineEvent: e, After: since(created, e.Time), Cause: versions[e.CausationID]}
		var data map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(e.Data)))
		decoder.UseNumber()
		if decoder.Decode(&data) == nil {
			s.Summary = summary(data)
		}
		if amount, ok := integer(data["amount"]); ok && strings.HasPrefix(e.Type, "payment.") {
			code, _ := data["currency"].(string)
			money = append(money, movement{e.Type, e.Time, amount, code})
		}
		all = append(all, s)
	}
	return all, money
}

func integer(value any) (int64, bool) {
	text, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := text.Int64()
	return n, err == nil
}

// summarized are the fields of events' data that people look for.
var summarized = []string{
	"outcome", "reason", "detail", "error", "step", "action", "by", "note", "reference", "paymentId", "code", "carrier", "trackingNumber", "parcelId",
	"attempts", "sku", "quantity", "customerId",
}

func summary(data map[string]any) []fact {
	var facts []fact
	if amount, ok := integer(data["amount"]); ok {
		code, _ := data["currency"].(string)
		facts = append(facts, fact{"amount", money(amount, code)})
	}
	for _, name := range summarized {
		switch value := data[name].(type) {
		case string:
			if value != "" {
				facts = append(facts, fact{name, value})
			}
		case json.Number:
			facts = append(facts, fact{name, value.String()})
		}
	}
	if lines, ok := data["lines"].([]any); ok {
		var parts []string
		for _, l := range lines[:min(len(lines), 5)] {
			if line, ok := l.(map[string]any); ok {
				sku, _ := line["sku"].(string)
				if n, ok := integer(line["quantity"]); ok && sku != "" {
					parts = append(parts, number(n)+" × "+sku)
				}
			}
		}
		if len(lines) > 5 {
			parts = append(parts, "…")
		}
		if len(parts) > 0 {
			facts = append(facts, fact{"lines", strings.Join(parts, ", ")})
		}
	}
	return facts
}

// followSaga passes on the live events of a saga.
func followSaga(p *request) error {
	flow, id := p.sagaOf()
	r, err := p.restRequest(http.MethodGet, sagaTarget(flow, id)+"/events?cursor="+url.QueryEscape(p.r.URL.Query().Get("cursor")), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	if last := p.r.Header.Get("Last-Event-Id"); last != "" {
		r.Header.Set("Last-Event-Id", last)
	}
	p.cfg.REST.ServeHTTP(p.w, r)
	return nil
}

// confirmation is a page that asks before something that cannot be undone.
type confirmation struct {
	Heading string
	// Subject is what it is about, Back is its page, and Situation says what is wrong with it.
	Subject, Back, Situation string
	Consequences             []string
	Action                   string
	Button                   string
	Danger                   bool
	Fields                   []field
	Hidden                   map[string]string
	// Key makes a form that is sent twice one request.
	Key   string
	Error *failure
}

type field struct {
	Name, Label, Hint, Value string
	Required                 bool
	Max                      int
}

// confirm shows a confirmation. Failed is why the form was refused; nil when it was not sent yet.
func (p *request) confirm(c confirmation, failed error) error {
	status := http.StatusOK
	c.Key = rand.Text()
	if failed != nil {
		f := failureOf(failed)
		if f.Status == http.StatusUnauthorized {
			return failed
		}
		c.Error, status = &f, f.Status
		for i := range c.Fields {
			c.Fields[i].Value = p.r.PostForm.Get(c.Fields[i].Name)
		}
	}
	return p.render(status, "confirm", c.Heading, c)
}

func askCancel(p *request) error { return p.askCancel(nil) }

func (p *request) askCancel(failed error) error {
	s, err := p.loadSaga()
	if err != nil {
		return err
	}
	c := confirmation{
		Heading: "Cancel " + s.Flow, Subject: s.ID, Back: sagaPath(s.Flow, s.ID), Action: sagaPath(s.Flow, s.ID) + "/cancel", Button: "Cancel this " + s.Flow, Danger: true,
		Fields: []field{{Name: "reason", Label: "Reason", Hint: "Recorded in the event log. No personal data.", Max: 500}},
	}
	info := p.flow(s.Flow)
	var undone []string
	for i := len(s.Steps) - 1; i >= 0; i-- {
		step := s.Steps[i]
		has := slices.ContainsFunc(info.Steps, func(row saga.StepInfo) bool { return row.Name == step.Name && row.Compensated })
		if has && (step.State == "done" || step.State == "running" || step.State == "unknown") {
			undone = append(undone, step.Name)
		}
	}
	if len(undone) > 0 {
		c.Consequences = append(c.Consequences, "These steps are compensated, in this order: "+strings.Join(undone, ", ")+".")
	} else {
		c.Consequences = append(c.Consequences, "No step has to be compensated.")
	}
	c.Consequences = append(c.Consequences,
		"The saga ends as cancelled. That cannot be undone.",
		"If the saga has passed its pivot, the cancellation is refused and nothing changes.")
	return p.confirm(c, failed)
}

func cancelSaga(p *request) error {
	flow, id := p.sagaOf()
	err := p.post(sagaTarget(flow, id)+"/cancellation", map[string]string{"reason": p.r.PostForm.Get("reason")}, nil)
	if err != nil {
		return p.askCancel(err)
	}
	return p.redirect(sagaPath(flow, id) + "?done=cancelled")
}

func askResolve(p *request) error { return p.askResolve(p.r.URL.Query().Get("action"), nil) }

func (p *request) askResolve(action string, failed error) error {
	s, err := p.loadSaga()
	if err != nil {
		return err
	}
	path := sagaPath(s.Flow, s.ID)
	if s.Attention == nil {
		if failed != nil {
			return failed
		}
		return p.redirect(path)
	}
	decisions := decisionsOf(s.Flow, *s.Attention)
	i := slices.IndexFunc(decisions, func(d decision) bool { return d.Action == action })
	if i < 0 {
		return errors.Join(failed, fault.New(fault.NotFound, "this decision is not possible now"))
	}
	d := decisions[i]
	c := confirmation{
		Heading: d.Name, Subject: s.Flow + " " + s.ID, Back: path, Action: path + "/resolve", Button: d.Name, Danger: d.Final,
		Situation: situation(*s.Attention) + ": " + s.Attention.Error, Consequences: d.Consequences,
		Hidden: map[string]string{"action": d.Action, "attention": strconv.Itoa(s.Attention.Attention)},
	}
	if d.Action == string(saga.Substitute) {
		c.Fields = append(c.Fields, field{Name: "reference", Label: "Reference", Hint: "To what was done instead, such as the number of a transfer.", Required: true, Max: saga.MaxReference})
	}
	c.Fields = append(c.Fields, field{
		Name: "note", Label: "Note", Hint: "The reason. Recorded in the event log. No personal data.", Required: d.Action == string(saga.Skip), Max: saga.MaxNote,
	})
	return p.confirm(c, failed)
}

func resolveSaga(p *request) error {
	flow, id := p.sagaOf()
	form := p.r.PostForm
	body := map[string]any{"action": form.Get("action")}
	if n, err := strconv.Atoi(form.Get("attention")); err == nil {
		body["attention"] = n
	}
	for _, name := range []string{"note", "reference"} {
		if text := strings.TrimSpace(form.Get(name)); text != "" {
			body[name] = text
		}
	}
	if err := p.post(sagaTarget(flow, id)+"/resolutions", body, nil); err != nil {
		return p.askResolve(form.Get("action"), err)
	}
	return p.redirect(sagaPath(flow, id) + "?done=resolved")
}
