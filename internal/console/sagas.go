package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// pageSize is how many rows a list has.
const pageSize = "50"

// sagaFilters are the filters of the list of sagas: the fields of its form, and the parameters of REST.
var sagaFilters = []string{"flow", "status", "reason", "needsAttention", "customerId", "from", "to", "minAmount", "maxAmount"}

type sagasPage struct {
	Filter map[string]string
	// Filtered reports that something is selected.
	Filtered bool
	Flows    []string
	Statuses []statusCount
	Items    []sagaItem
	// Newest leads to the first page, Older to the next one; empty when there is none.
	Newest, Older string
	// Live reports that the page is refreshed: new sagas come on the first page.
	Live bool
	// Problem says what is wrong with the filter.
	Problem *failure
}

// statusCount is how many sagas have a status.
type statusCount struct {
	Status  string
	Count   int64
	Link    string
	Current bool
}

// maxCount is where REST stops to count.
const maxCount = 1000

func listSagas(p *request) error {
	query := p.r.URL.Query()
	s := sagasPage{Filter: make(map[string]string), Live: query.Get("cursor") == ""}
	asked := url.Values{"limit": {pageSize}, "counts": {"status"}}
	kept := url.Values{}
	for _, name := range sagaFilters {
		value := strings.TrimSpace(query.Get(name))
		if value == "" {
			continue
		}
		s.Filter[name], s.Filtered = value, true
		kept.Set(name, value)
		if name == "from" || name == "to" {
			value = utc(value)
		}
		asked.Set(name, value)
	}
	if cursor := query.Get("cursor"); cursor != "" {
		asked.Set("cursor", cursor)
		s.Newest = "/console/sagas?" + kept.Encode()
	}
	for _, f := range p.cfg.Flows {
		s.Flows = append(s.Flows, f.Name)
	}
	var found page[sagaItem]
	err := p.get("/v1/sagas?"+asked.Encode(), &found)
	if f := failureOf(err); err != nil && f.Status == http.StatusUnprocessableEntity {
		s.Problem = &f
		err = nil
	}
	if err != nil {
		return err
	}
	s.Items = found.Items
	if found.NextCursor != "" {
		older := maps.Clone(kept)
		older.Set("cursor", found.NextCursor)
		s.Older = "/console/sagas?" + older.Encode()
	}
	s.Statuses = countsOf(found.Counts, kept)
	return p.render(http.StatusOK, "sagas", "Sagas", s)
}

// countsOf makes the links to the sagas of each status, those that wait for a person first.
func countsOf(counts map[string]int64, kept url.Values) []statusCount {
	rank := func(status string) int {
		switch tone(status) {
		case toneAttention:
			return 0
		case toneActive:
			return 1
		}
		return 2
	}
	var all []statusCount
	for _, status := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if rank(a) != rank(b) {
			return rank(a) - rank(b)
		}
		return strings.Compare(a, b)
	}) {
		link := url.Values{}
		for name, values := range kept {
			if name != "status" && name != "needsAttention" {
				link[name] = values
			}
		}
		current := kept.Get("status") == status
		if !current {
			link.Set("status", status)
		}
		all = append(all, statusCount{status, counts[status], "/console/sagas?" + link.Encode(), current})
	}
	return all
}

// utc makes the value of an input of a date and a time a time of REST.
func utc(value string) string {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, value); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return value
}
