package console

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/internal/auth"
)

// shownLedger is how many entries of a ledger are shown, the newest.
const shownLedger = 100

type stockListPage struct {
	Items         []balance
	Newest, Older string
	Live          bool
	CanChange     bool
	Key           string
}

func listStock(p *request) error {
	asked := url.Values{"limit": {pageSize}}
	s := stockListPage{Live: true, CanChange: p.caller.Has(auth.StockWrite), Key: rand.Text()}
	if cursor := p.r.URL.Query().Get("cursor"); cursor != "" {
		asked.Set("cursor", cursor)
		s.Newest, s.Live = "/console/stock", false
	}
	var found page[balance]
	if err := p.get("/v1/stock?"+asked.Encode(), &found); err != nil {
		return err
	}
	s.Items = found.Items
	if found.NextCursor != "" {
		s.Older = "/console/stock?cursor=" + url.QueryEscape(found.NextCursor)
	}
	return p.render(http.StatusOK, "stocklist", "Stock", s)
}

type stockPage struct {
	Balance   balance
	Path      string
	Entries   []ledgerEntry
	Omitted   bool
	CanChange bool
	Key       string
	Error     *failure
	// Note and Quantity are what was entered in a form that was refused.
	Note, Quantity string
}

// ledgerEntry is an event of the ledger of a SKU, with the balance after it.
type ledgerEntry struct {
	timelineEvent
	Quantity int64
	OrderID  string
	OnHand   int64
	Reserved int64
	By, Note string
}

// Signed is the quantity, with its sign where it changes what is on hand.
func (e ledgerEntry) Signed() string {
	if e.Quantity > 0 && (e.Type == "stock.added" || e.Type == "stock.adjusted") {
		return "+" + number(e.Quantity)
	}
	return number(e.Quantity)
}

func showStock(p *request) error { return p.showStock(nil) }

func (p *request) showStock(failed error) error {
	sku := p.r.PathValue("sku")
	target := "/v1/stock/" + url.PathEscape(sku)
	s := stockPage{Path: stockPath(sku), CanChange: p.caller.Has(auth.StockWrite), Key: rand.Text()}
	if err := p.get(target, &s.Balance); err != nil {
		if failed != nil {
			return failed
		}
		return err
	}
	after := max(0, s.Balance.Version-shownLedger)
	s.Omitted = after > 0
	events, err := p.events(target, after)
	if err != nil {
		return err
	}
	for _, e := range events {
		s.Entries = append(s.Entries, ledgerEntryOf(e))
	}
	slices.Reverse(s.Entries)
	status := http.StatusOK
	if failed != nil {
		f := failureOf(failed)
		s.Error, status = &f, f.Status
	}
	return p.render(status, "stock", sku, s)
}

func ledgerEntryOf(e timelineEvent) ledgerEntry {
	var data struct {
		OrderID  string `json:"orderId"`
		Quantity int64  `json:"quantity"`
		OnHand   int64  `json:"onHand"`
		Reserved int64  `json:"reserved"`
		By       string `json:"by"`
		Note     string `json:"note"`
	}
	_ = json.Unmarshal(e.Data, &data)
	return ledgerEntry{e, data.Quantity, data.OrderID, data.OnHand, data.Reserved, data.By, data.Note}
}

// stockChanges are the forms of the page of a SKU, what is done after them, and the field that REST has for the number.
var stockChanges = map[string]struct{ path, field, done, button string }{
	"receive": {"/receipts", "quantity", "received", "Receive"},
	"count":   {"/counts", "counted", "counted", "Record the count"},
	"adjust":  {"/adjustments", "quantity", "adjusted", "Adjust"},
}

// newStock receives the first goods of a SKU.
func newStock(p *request) error {
	sku := strings.TrimSpace(p.r.PostForm.Get("sku"))
	p.r.SetPathValue("sku", sku)
	p.r.PostForm.Set("do", "receive")
	return changeStock(p)
}

func changeStock(p *request) error {
	sku, form := p.r.PathValue("sku"), p.r.PostForm
	change, known := stockChanges[form.Get("do")]
	if !known {
		return p.redirect(stockPath(sku))
	}
	target := "/v1/stock/" + url.PathEscape(sku)
	n, err := strconv.ParseInt(strings.TrimSpace(form.Get("quantity")), 10, 64)
	body := map[string]any{change.field: n}
	if err != nil {
		body[change.field] = form.Get("quantity") // REST says what is wrong
	}
	if note := strings.TrimSpace(form.Get("note")); note != "" && form.Get("do") == "adjust" {
		body["note"] = note
	}
	if form.Get("do") != "receive" && form.Get("confirmed") == "" && err == nil {
		return p.confirmStock(sku, form.Get("do"), n)
	}
	if err := p.post(target+change.path, body, nil); err != nil {
		return p.showStock(err)
	}
	return p.redirect(stockPath(sku) + "?done=" + change.done)
}

// confirmStock asks before a count or an adjustment, which may take goods from orders.
func (p *request) confirmStock(sku, do string, n int64) error {
	var b balance
	if err := p.get("/v1/stock/"+url.PathEscape(sku), &b); err != nil {
		return err
	}
	onHand := n
	if do == "adjust" {
		onHand = b.OnHand + n
	}
	c := confirmation{
		Heading: stockChanges[do].button, Subject: sku, Back: stockPath(sku), Action: stockPath(sku), Button: stockChanges[do].button,
		Consequences: []string{"On hand changes from " + number(b.OnHand) + " to " + number(onHand) + "."},
		Hidden:       map[string]string{"do": do, "quantity": strconv.FormatInt(n, 10), "note": p.r.PostForm.Get("note"), "confirmed": "yes"},
	}
	switch short := b.Reserved - onHand; {
	case short > 0 && do == "count":
		c.Danger = true
		c.Consequences = append(c.Consequences, number(short)+" of the "+number(b.Reserved)+" reserved goods are missing: orders that hold them are rejected, the newest first. "+
			"Orders that are past their pivot need attention.")
	case short > 0:
		c.Consequences = append(c.Consequences, "More is reserved than would be on hand: the adjustment is refused. Record a count instead.")
	}
	return p.confirm(c, nil)
}
