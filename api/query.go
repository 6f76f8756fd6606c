package api

import (
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const maxCursor = 1024

// query reads the parameters of a query and collects what is wrong with them. A parameter that is not known is
// refused: a filter with a typing error would otherwise list everything.
type query struct {
	values url.Values
	wrong  []complaint
}

func queryOf(c echo.Context, known ...string) *query {
	q := &query{}
	var err error
	// Unlike URL.Query this says what it cannot read.
	if q.values, err = url.ParseQuery(c.Request().URL.RawQuery); err != nil {
		q.wrong = append(q.wrong, complaint{Parameter: "?", Detail: "the query cannot be parsed"})
	}
	for name := range q.values {
		if !slices.Contains(known, name) {
			q.add(shortened(name), "is not a known parameter")
		}
	}
	slices.SortFunc(q.wrong, func(a, b complaint) int { return strings.Compare(a.Parameter, b.Parameter) })
	return q
}

func (q *query) add(name, detail string) {
	q.wrong = append(q.wrong, complaint{Parameter: name, Detail: detail})
}

func (q *query) err() error { return invalidOutside(q.wrong...) }

// one returns a parameter that may be given once.
func (q *query) one(name string) string {
	values := q.values[name]
	if len(values) > 1 {
		q.add(name, "must be given once")
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// dryRunOf reports whether a request asks only what would happen.
func dryRunOf(c echo.Context) (bool, error) {
	q := queryOf(c, "dryRun")
	dry := q.one("dryRun")
	if dry != "" && dry != "true" && dry != "false" {
		q.add("dryRun", "must be true or false")
	}
	return dry == "true", q.err()
}

func (q *query) limit(unset int) int {
	text := q.one("limit")
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > cursor.MaxLimit {
		q.add("limit", "must be an integer from 1 to "+strconv.Itoa(cursor.MaxLimit))
		return unset
	}
	return n
}

func (q *query) cursor() string {
	cursor := q.one("cursor")
	if cursor != "" && !isVisible(cursor, maxCursor) {
		q.add("cursor", "unknown or expired cursor")
	}
	return cursor
}

// encodedCursor begins a cursor that is no SKU as it is.
const encodedCursor = "~"

// cursorOfSKU returns the cursor of a page of SKUs that begins after one: it can be put into an address as it is.
func cursorOfSKU(sku string) string {
	if sku == "" || event.ValidToken(sku) {
		return sku
	}
	return encodedCursor + base64.RawURLEncoding.EncodeToString([]byte(sku))
}

// skuCursor reads what cursorOfSKU makes.
func (q *query) skuCursor() string {
	text := q.one("cursor")
	sku := text
	if encoded, ok := strings.CutPrefix(text, encodedCursor); ok {
		decoded, _ := base64.RawURLEncoding.Strict().DecodeString(encoded)
		sku = string(decoded)
	}
	if text != "" && (!event.ValidID(sku) || cursorOfSKU(sku) != text) {
		q.add("cursor", "unknown or expired cursor")
	}
	return sku
}

// version returns a cursor that is the version of an event; 0 when there is none.
func (q *query) version() int64 {
	version, ok := parseVersion(q.one("cursor"))
	if !ok {
		q.add("cursor", "unknown or expired cursor")
	}
	return version
}

// parseVersion returns the version of an event, 0 when it is not given; ok is false for what is none.
func parseVersion(text string) (version int64, ok bool) {
	if text == "" {
		return 0, true
	}
	version, err := strconv.ParseInt(text, 10, 64)
	return version, err == nil && version >= 0
}

// time returns a parameter that is a time; ok is false when it is not given or wrong. A plus sign that was not
// escaped arrives as a blank.
func (q *query) time(name string) (at time.Time, ok bool) {
	text := q.one(name)
	if text == "" {
		return time.Time{}, false
	}
	const clockAt = len("2006-01-02T") // a blank before it separates date and time
	at, err := event.ParseTime(text[:min(len(text), clockAt)] + strings.ReplaceAll(text[min(len(text), clockAt):], " ", "+"))
	if err != nil {
		q.add(name, "must be an RFC 3339 time, such as 2026-01-31T12:00:00Z")
	}
	return at.UTC(), err == nil
}

// selecting are the parameters that selection reads.
var selecting = []string{"reason", "customerId", "from", "to", "minAmount", "maxAmount", "limit", "cursor"}

// selection reads the filters that all lists of sagas have. Statuses are not among them.
func (q *query) selection() readmodel.Filter {
	f := readmodel.Filter{
		CustomerID: q.id("customerId"), Reason: q.one("reason"), MinAmount: q.amount("minAmount"), MaxAmount: q.amount("maxAmount"),
		Limit: q.limit(cursor.DefaultLimit), Cursor: q.cursor(),
	}
	if f.Reason != "" && !isStatus(f.Reason) {
		q.add("reason", "must be the code of a reason, such as payment_declined")
	}
	f.CreatedFrom, _ = q.time("from")
	f.CreatedTo, _ = q.time("to")
	if !f.CreatedFrom.IsZero() && !f.CreatedTo.IsZero() && !f.CreatedFrom.Before(f.CreatedTo) {
		q.add("to", "must be after from")
	}
	if f.MinAmount != nil && f.MaxAmount != nil && *f.MinAmount > *f.MaxAmount {
		q.add("maxAmount", "must not be less than minAmount")
	}
	return f
}

// amount returns an amount in minor units; nil when it is not given or wrong.
func (q *query) amount(name string) *int64 {
	text := q.one(name)
	if text == "" {
		return nil
	}
	amount, err := strconv.ParseInt(text, 10, 64)
	if err != nil || amount < 0 {
		q.add(name, "must be an amount in minor units, an integer from 0")
		return nil
	}
	return &amount
}

// counts reports whether counts by status are asked for.
func (q *query) counts() bool {
	text := q.one("counts")
	if text != "" && text != "status" {
		q.add("counts", "must be status")
	}
	return text == "status"
}

func (q *query) id(name string) string {
	id := q.one(name)
	if id != "" && !event.ValidID(id) {
		q.add(name, event.IDRule)
	}
	return id
}

// isStatus reports whether a text has the form of the statuses, and of the reasons, of any flow.
var isStatus = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`).MatchString

// maxStatuses bounds by how many statuses a list is filtered.
const maxStatuses = 50

// statuses returns the statuses of ?status=a,b&status=c, each once. They must be known.
func (q *query) statuses(known func(status string) bool) []saga.Status {
	var statuses []saga.Status
	for _, value := range q.values["status"] {
		for name := range strings.SplitSeq(value, ",") {
			status := saga.Status(strings.TrimSpace(name))
			switch {
			case slices.Contains(statuses, status):
			case !known(string(status)):
				q.add("status", "contains an unknown status")
				return nil
			case len(statuses) == maxStatuses:
				q.add("status", "must have at most "+strconv.Itoa(maxStatuses)+" statuses")
				return nil
			default:
				statuses = append(statuses, status)
			}
		}
	}
	return statuses
}

// fromList turns what a list says about its filter into complaints about the parameters of the same names.
func fromList(err error) error {
	if !errors.Is(err, fault.Invalid) {
		return err
	}
	var complaints []complaint
	for _, f := range fault.FieldsOf(err) {
		complaints = append(complaints, complaint{Parameter: strings.TrimPrefix(f.Pointer, "/"), Detail: f.Detail})
	}
	if len(complaints) == 0 {
		return err
	}
	return invalidOutside(complaints...)
}

// shortened cuts a name of the sender.
func shortened(name string) string { return strings.ToValidUTF8(name[:min(len(name), 200)], "") }
