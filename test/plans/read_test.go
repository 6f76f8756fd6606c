package plans

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Plan is the relevant part of how a server executes a query.
type Plan struct {
	// Indexes are the names of the indexes that are read; "_id_" is the one of _id.
	Indexes []string
	// Scans reports whether a collection is read from one end to the other.
	Scans bool
	// Sorts reports whether what was found is sorted in memory.
	Sorts bool
}

// Read reads the plan out of the answer to explain, in the words of MongoDB (stages) or of PostgreSQL (nodes), whose plans
// FerretDB 2 passes on. Of MongoDB only the plan that won is read.
func Read(explained bson.D) Plan {
	var p Plan
	p.read(explained)
	slices.Sort(p.Indexes)
	p.Indexes = slices.Compact(p.Indexes)
	return p
}

// passedOver are the fields that tell of other things than how the query is answered.
var passedOver = []string{"rejectedPlans", "command", "serverInfo", "serverParameters", "parsedQuery", "IndexCosts", "slotBasedPlan"}

func (p *Plan) read(value any) {
	switch v := value.(type) {
	case bson.D:
		for _, e := range v {
			if slices.Contains(passedOver, e.Key) {
				continue
			}
			if text, ok := e.Value.(string); ok {
				p.word(e.Key, text)
				continue
			}
			p.read(e.Value)
		}
	case bson.A:
		for _, item := range v {
			p.read(item)
		}
	}
}

// word takes note of a word of the plan.
func (p *Plan) word(field, text string) {
	switch field {
	case "stage":
		switch {
		case text == "COLLSCAN":
			p.Scans = true
		case text == "SORT":
			p.Sorts = true
		case text == "IDHACK" || strings.HasPrefix(text, "EXPRESS_IXSCAN"):
			p.Indexes = append(p.Indexes, "_id_")
		}
	case "Node Type":
		switch text {
		case "Seq Scan":
			p.Scans = true
		case "Sort", "Incremental Sort":
			p.Sorts = true
		}
	case "indexName", "Index Name":
		p.Indexes = append(p.Indexes, text)
	}
}
