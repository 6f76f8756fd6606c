package console

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// afterSale is what came after an order was paid: refunds, returns, disputes, and the refund ledger.
type afterSale struct {
	Refunds  []refundResource
	Returns  []returnResource
	Disputes []reservation
	Ledger   ledger
	// CanRefund, CanReturn and CanReceive report that the caller may do so, and that the order allows it.
	CanRefund, CanReturn, CanReceive bool
}

// Any reports whether there is anything to show.
func (a afterSale) Any() bool { return len(a.Refunds)+len(a.Returns)+len(a.Ledger.Items) > 0 }

// open reports whether a refund or a return is under way.
func (a afterSale) open() bool {
	return slices.ContainsFunc(a.Refunds, func(r refundResource) bool { return r.Status == "accepted" }) ||
		slices.ContainsFunc(a.Returns, func(r returnResource) bool { return r.Waits() || r.Status == "received" })
}

type refundedLine struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
	Amount   int64 `json:"amount"`
}

type refundResource struct {
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	Amount    *int64         `json:"amount"`
	Currency  string         `json:"currency"`
	Lines     []refundedLine `json:"lines"`
	CreatedAt time.Time      `json:"createdAt"`
}

type returnedLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Received int64  `json:"received"`
}

type returnResource struct {
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	Lines     []returnedLine `json:"lines"`
	Refund    bool           `json:"refund"`
	Restock   bool           `json:"restock"`
	CreatedAt time.Time      `json:"createdAt"`
}

// Waits reports whether goods of the return are missing.
func (r returnResource) Waits() bool { return r.Status == "announced" || r.Status == "partly_received" }

type reservation struct {
	Key      string `json:"key"`
	Flow     string `json:"flow"`
	ID       string `json:"id"`
	Source   string `json:"source"`
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type ledger struct {
	Items      []reservation `json:"items"`
	Refundable int64         `json:"refundable"`
}

func orderTarget(id string) string { return "/v1/orders/" + url.PathEscape(id) }

// addAfterSale adds what came after the order was paid.
func (p *request) addAfterSale(shown *sagaPage) error {
	id, a := shown.Saga.ID, &shown.After
	if err := p.get(orderTarget(id)+"/ledger", &a.Ledger); err != nil {
		return err
	}
	for _, r := range a.Ledger.Items {
		if r.Flow == "dispute" {
			a.Disputes = append(a.Disputes, r)
		}
	}
	if !forward(shown.Saga) {
		return nil
	}
	var refunds page[refundResource]
	var returns page[returnResource]
	if err := p.get(orderTarget(id)+"/refunds", &refunds); err != nil {
		return err
	}
	if err := p.get(orderTarget(id)+"/returns", &returns); err != nil {
		return err
	}
	a.Refunds, a.Returns = refunds.Items, returns.Items
	delivered := shown.Saga.Status == string(saga.Completed) ||
		slices.ContainsFunc(shown.Order.Parcels, func(parcel parcel) bool { return parcel.Status == "delivered" })
	a.CanRefund = p.caller.Has(auth.RefundsWrite) && a.Ledger.Refundable > 0
	a.CanReturn = p.caller.Has(auth.RefundsWrite) && delivered
	a.CanReceive = p.caller.Has(auth.StockWrite)
	return nil
}

// forward reports whether the saga is past its pivot, and not compensated.
func forward(s sagaResource) bool {
	return slices.ContainsFunc(s.Steps, func(step sagaStep) bool { return step.Kind == string(saga.Pivot) && step.State == "done" })
}

// goodsPage is the form of a refund, a return, or the receipt of one.
type goodsPage struct {
	Heading, Subject, Back, Action string
	// Amount reports that an amount may be given in the place of lines, up to Refundable.
	Amount     bool
	Currency   string
	Refundable int64
	Lines      []goodsLine
	Options    []option
	Reason     bool
	Key        string
	// Entered is what was entered in a form that was refused.
	Entered url.Values
	Error   *failure
}

// goodsLine is a line whose quantity is asked for.
type goodsLine struct {
	Line int
	SKU  string
	// Of says how many there are.
	Of int64
}

// Name is the name of its field.
func (l goodsLine) Name() string { return "line-" + strconv.Itoa(l.Line) }

// option is a choice. Unset is what follows if it is not chosen.
type option struct {
	Name, Label   string
	Checked       bool
	Chosen, Unset string
}

const (
	restocked    = "The goods are put into stock again."
	notRestocked = "The stock does not change."
)

// goodsAction is what the form of an action has, and does.
type goodsAction struct {
	// done is the key of doneTexts.
	name, done string
	form       func(p *request, id string) (goodsPage, error)
	// target is where its request goes, ask says what will happen.
	target func(p *request, id string) string
	ask    func(p *request, id string, body map[string]any, page goodsPage) ([]string, error)
}

// goodsActions are the actions about the money and the goods of an order, by the last part of their address.
var goodsActions = []goodsAction{
	{"refund", "refunded", refundForm, func(_ *request, id string) string { return orderTarget(id) + "/refunds" }, askRefund},
	{"return", "returned", returnForm, func(_ *request, id string) string { return orderTarget(id) + "/returns" }, askReturn},
	{"receive", "arrived", receiveForm, func(p *request, id string) string {
		return orderTarget(id) + "/returns/" + url.PathEscape(p.r.FormValue("return")) + "/receipts"
	}, askReceive},
}

// show shows the form. Failed is why it was refused; nil when it was not sent yet.
func (a goodsAction) show(p *request, failed error) error {
	id := p.r.PathValue("id")
	page, err := a.page(p, id)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if failed != nil {
		f := failureOf(failed)
		page.Error, status = &f, f.Status
	}
	return p.render(status, "goods", page.Heading, page)
}

func (a goodsAction) page(p *request, id string) (goodsPage, error) {
	page, err := a.form(p, id)
	page.Subject, page.Back, page.Action = id, sagaPath(orderFlow, id), p.r.URL.RequestURI()
	page.Key, page.Entered = rand.Text(), p.r.PostForm
	for i, o := range page.Options {
		if p.r.Method == http.MethodPost {
			page.Options[i].Checked = p.r.PostForm.Has(o.Name)
		}
	}
	return page, err
}

// send asks whether what was entered shall happen, and once that is confirmed, makes it happen.
func (a goodsAction) send(p *request) error {
	id, form := p.r.PathValue("id"), p.r.PostForm
	page, err := a.page(p, id)
	if err != nil {
		return err
	}
	body, err := page.body(form)
	if err != nil {
		return a.show(p, err)
	}
	if form.Get("confirmed") != "" {
		if err := p.post(a.target(p, id), body, nil); err != nil {
			return a.show(p, err)
		}
		return p.redirect(page.Back + "?done=" + a.done)
	}
	consequences, err := a.ask(p, id, body, page)
	if err != nil {
		return a.show(p, err)
	}
	hidden := map[string]string{"confirmed": "yes"}
	for name := range form {
		if name != formField && name != "key" {
			hidden[name] = form.Get(name)
		}
	}
	return p.confirm(confirmation{
		Heading: page.Heading, Subject: id, Back: page.Back, Action: page.Action, Button: page.Heading, Danger: true, Consequences: consequences, Hidden: hidden,
	}, nil)
}

// body makes the request of a form.
func (g goodsPage) body(form url.Values) (map[string]any, error) {
	body := make(map[string]any)
	var lines []map[string]any
	for _, l := range g.Lines {
		entered := strings.TrimSpace(form.Get(l.Name()))
		if entered == "" || entered == "0" {
			continue
		}
		n, err := strconv.ParseInt(entered, 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the quantity of line %d must be a whole number", l.Line)
		}
		lines = append(lines, map[string]any{"line": l.Line, "quantity": n})
	}
	if len(lines) > 0 {
		body["lines"] = lines
	}
	if entered := strings.TrimSpace(form.Get("amount")); entered != "" && g.Amount {
		n, err := minor(entered, g.Currency)
		if err != nil {
			return nil, err
		}
		body["amount"] = n
	}
	if reason := strings.TrimSpace(form.Get("reason")); reason != "" {
		body["reason"] = reason
	}
	for _, o := range g.Options {
		body[o.Name] = form.Has(o.Name)
	}
	return body, nil
}

// minor reads an amount such as 12.50 in the minor units of a currency.
func minor(entered, code string) (int64, error) {
	scale := 0
	if unit, err := currency.ParseISO(code); err == nil {
		scale, _ = currency.Standard.Rounding(unit)
	}
	whole, rest, _ := strings.Cut(entered, ".")
	if whole != "" && len(rest) <= scale && !strings.ContainsAny(entered, "+-") {
		if n, err := strconv.ParseInt(whole+rest+strings.Repeat("0", scale-len(rest)), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fault.New(fault.Invalid, "the amount must be a number with at most %d digits after the point, without signs", scale)
}

// unitsOf says what quantities of a request are.
func (g goodsPage) unitsOf(body map[string]any) string {
	var parts []string
	lines, _ := body["lines"].([]map[string]any)
	for _, l := range lines {
		i := slices.IndexFunc(g.Lines, func(line goodsLine) bool { return line.Line == l["line"] })
		parts = append(parts, number(l["quantity"].(int64))+" × "+g.Lines[i].SKU)
	}
	return strings.Join(parts, ", ")
}

// chosen says what follows from the options of a form.
func (g goodsPage) chosen() []string {
	var all []string
	for _, o := range g.Options {
		if o.Checked {
			all = append(all, o.Chosen)
		} else if o.Unset != "" {
			all = append(all, o.Unset)
		}
	}
	return all
}

// orderForm has the lines of an order that are no discounts.
func (p *request) orderForm(id string) (g goodsPage, err error) {
	var o orderResource
	if err := p.get(orderTarget(id), &o); err != nil {
		return g, err
	}
	g.Currency, g.Reason = o.Currency, true
	for _, l := range o.Lines {
		if l.UnitAmount >= 0 {
			g.Lines = append(g.Lines, goodsLine{l.Line, l.SKU, l.Quantity})
		}
	}
	return g, nil
}

func refundForm(p *request, id string) (goodsPage, error) {
	g, err := p.orderForm(id)
	if err != nil {
		return g, err
	}
	var l ledger
	err = p.get(orderTarget(id)+"/ledger", &l)
	g.Heading, g.Amount, g.Refundable = "Refund", true, l.Refundable
	g.Options = []option{{Name: "restock", Label: "Put the goods into stock again", Chosen: restocked, Unset: notRestocked}}
	return g, err
}

func askRefund(p *request, id string, body map[string]any, g goodsPage) ([]string, error) {
	var preview struct {
		Amount   int64          `json:"amount"`
		Currency string         `json:"currency"`
		Lines    []refundedLine `json:"lines"`
	}
	if err := p.post(orderTarget(id)+"/refunds?dryRun=true", body, &preview); err != nil {
		return nil, err
	}
	all := []string{money(preview.Amount, preview.Currency) + " are refunded to the customer."}
	for _, l := range preview.Lines {
		if i := slices.IndexFunc(g.Lines, func(line goodsLine) bool { return line.Line == l.Line }); i >= 0 {
			all = append(all, number(l.Quantity)+" × "+g.Lines[i].SKU+": "+money(l.Amount, preview.Currency)+".")
		}
	}
	all = append(all, g.chosen()...)
	return append(all, "Afterwards "+money(g.Refundable-preview.Amount, preview.Currency)+" can still be refunded.", "A refund cannot be undone."), nil
}

func returnForm(p *request, id string) (goodsPage, error) {
	g, err := p.orderForm(id)
	g.Heading = "Return goods"
	g.Options = []option{
		{"refund", "Refund what comes back", true, "What comes back is refunded.", "Nothing is refunded."},
		{"restock", "Put what comes back into stock again", true, "What comes back is put into stock again.", notRestocked},
	}
	return g, err
}

func askReturn(_ *request, _ string, body map[string]any, g goodsPage) ([]string, error) {
	units := g.unitsOf(body)
	if units == "" {
		return nil, fault.New(fault.Invalid, "enter the quantity of at least one line")
	}
	all := append([]string{"The return is announced to the warehouse: " + units + "."}, g.chosen()...)
	return append(all, "What does not come back until the deadline can be returned again later."), nil
}

// receiveForm has the lines of a return of which goods are missing.
func receiveForm(p *request, id string) (g goodsPage, err error) {
	r, err := p.loadReturn(id)
	g.Heading = "Receive returned goods"
	for _, l := range r.Lines {
		if l.Received < l.Quantity {
			g.Lines = append(g.Lines, goodsLine{l.Line, l.SKU, l.Quantity - l.Received})
		}
	}
	return g, err
}

func (p *request) loadReturn(orderID string) (r returnResource, err error) {
	err = p.get(orderTarget(orderID)+"/returns/"+url.PathEscape(p.r.FormValue("return")), &r)
	return r, err
}

func askReceive(p *request, id string, body map[string]any, g goodsPage) ([]string, error) {
	r, err := p.loadReturn(id)
	if err != nil {
		return nil, err
	}
	units := g.unitsOf(body)
	if units == "" {
		units = "everything that is missing"
	}
	all := []string{"These goods count as received: " + units + "."}
	if r.Refund {
		all = append(all, "They are refunded when the return is complete, or at its deadline.")
	}
	if r.Restock {
		all = append(all, "They are put into stock again.")
	}
	return append(all, "A receipt cannot be undone."), nil
}
