package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// lookedAt bounds how many sagas that need attention are read to find the oldest, shownAttention how many are shown.
	lookedAt       = 1000
	shownAttention = 100
)

type attentionPage struct {
	Items []attentionItem
	// Total is how many were found, More that there are more than were looked at.
	Total int
	More  bool
}

type attentionItem struct {
	attention
	Path      string
	Situation string
	Waiting   string
	Decisions []decision
}

// decision is what may be decided, and what follows from it.
type decision struct {
	Action, Name string
	Consequences []string
	// Final reports that it cannot be undone.
	Final bool
}

func listAttention(p *request) error {
	var all []attention
	next, more := "", true
	for more && len(all) < lookedAt {
		var found page[attention]
		if err := p.get("/v1/attention?limit=500&cursor="+url.QueryEscape(next), &found); err != nil {
			return err
		}
		all = append(all, found.Items...)
		next, more = found.NextCursor, found.NextCursor != ""
	}
	slices.SortStableFunc(all, func(a, b attention) int { return a.Since.Compare(b.Since) })
	shown := attentionPage{Total: len(all), More: more}
	now := p.cfg.Clock()
	for _, a := range all[:min(len(all), shownAttention)] {
		flow := p.flowOf(a)
		shown.Items = append(shown.Items, attentionItem{
			a, sagaPath(flow, a.ID), situation(a), since(a.Since, now), decisionsOf(flow, a),
		})
	}
	return p.render(http.StatusOK, "attention", "Attention", shown)
}

// flowOf is the flow of what needs attention. An order that has ended needs none: the saga of its late events does.
func (p *request) flowOf(a attention) string {
	if a.Flow == "" && isEnded(a.Status) {
		late := p.flow(orderFlow).LateWorkflow
		if i := slices.IndexFunc(p.cfg.Flows, func(f saga.Info) bool { return f.Workflow == late }); i >= 0 {
			return p.cfg.Flows[i].Name
		}
	}
	return cmp.Or(a.Flow, orderFlow)
}

// situation says what is stuck.
func situation(a attention) string {
	text := "The step " + a.Step + " is stuck"
	if a.Undo {
		text = "The compensation of " + a.Step + " is stuck"
	}
	if a.Parcel != "" {
		text += ", parcel " + a.Parcel
	}
	return text
}

// skipped is what an order comes to when a step is skipped; undo is for compensations.
var skipped = map[string]string{
	"capture":  "The order completes without money.",
	"commit":   "The stock stays reserved: count the SKU afterwards.",
	"deliver":  "The order completes without a delivery of these goods.",
	"refund":   "The money is kept.",
	"dispatch": "The goods are gone.",
	"judge":    "Money that came may be kept.",

	"undo confirm":   "The warehouse may dispatch the goods.",
	"undo authorize": "The authorization may remain until it expires, and captured money is kept.",
	"undo reserve":   "The stock stays reserved: count the SKU afterwards.",
}

// decisionsOf are the decisions that are possible, with their consequences.
func decisionsOf(flow string, a attention) []decision {
	step, what := a.Step, "step "+a.Step
	if a.Undo {
		step, what = "undo "+a.Step, "compensation of "+a.Step
	}
	var all []decision
	for _, action := range a.Actions {
		d := decision{Action: action, Name: strings.ToUpper(action[:1]) + action[1:] + " the " + what, Final: true}
		switch saga.ResolutionAction(action) {
		case saga.Retry:
			d.Final = false
			d.Consequences = []string{"The " + what + " is tried again at once.", "The attention stays open until it succeeds. Fix the cause first."}
		case saga.Skip:
			d.Consequences = []string{"The saga continues as if the " + what + " were done; nothing is called."}
			if text := skipped[step]; text != "" {
				d.Consequences = append(d.Consequences, text)
			}
			d.Consequences = append(d.Consequences, "Book the difference in your own systems. A note is required.")
		case saga.Substitute:
			d.Name = "Substitute the " + what
			d.Consequences = []string{"The saga continues because the same was done by other means, such as in the console of the provider.", "A reference to that is required."}
		case saga.Compensate:
			d.Name = "Compensate the " + flow
			d.Consequences = []string{
				"The participant is asked first. If the step was done, the decision is refused and the saga continues.",
				"Otherwise every step that was done is compensated, and the saga ends as failed.",
			}
		case saga.Refund:
			d.Name = "Refund the goods"
			d.Consequences = []string{"The money for the goods that did not arrive is refunded, less their share of the discounts.", "The order completes when everything else has arrived."}
		case saga.Resend:
			d.Name = "Resend the goods"
			d.Consequences = []string{"The warehouse is asked to dispatch the goods again.", "They are awaited again, until the deadline of the delivery."}
		default:
			d.Consequences = []string{"See the documentation of the flow."}
		}
		all = append(all, d)
	}
	return all
}

// Next is when the step is tried again; empty when it is not.
func (a attentionItem) Next() string {
	if a.NextTry.IsZero() {
		return ""
	}
	return a.NextTry.UTC().Format(time.DateTime)
}
