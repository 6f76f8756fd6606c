package saga

import (
	"cmp"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// NeedsAttentionAttribute is the search attribute that says whether an operator must act. Correctness never depends on search attributes.
var NeedsAttentionAttribute = temporal.NewSearchAttributeKeyBool("NeedsAttention")

// CustomerID is the search attribute with the customer whom a saga is about.
var CustomerID = temporal.NewSearchAttributeKeyKeyword("CustomerId")

// StatusAttribute is the search attribute that shows the status of sagas whose flow has none of its own.
const StatusAttribute = "SagaStatus"

// StatusKey is the search attribute that shows the status of the flow's sagas.
func (f *Flow[S, P]) StatusKey() temporal.SearchAttributeKeyKeyword {
	return temporal.NewSearchAttributeKeyKeyword(cmp.Or(f.StatusAttribute, StatusAttribute))
}

// AttributesOf are the search attributes of a saga besides those of every flow.
func (f *Flow[S, P]) AttributesOf(s *S) []temporal.SearchAttributeUpdate {
	if f.Customer == nil || f.Customer(s) == "" {
		return nil
	}
	return []temporal.SearchAttributeUpdate{CustomerID.ValueSet(f.Customer(s))}
}

// show writes the state of the saga for the Temporal Web UI. It is called where a run waits:
// what is passed in milliseconds is not worth a write, nor is a status in which a saga only waits for the answer of a
// participant: Temporal writes each change into its history and its index.
func (r *run[S, P]) show(note string) {
	k := r.kit()
	workflow.SetCurrentDetails(r.ctx, r.flow.DetailsOf(&r.state, note))
	if r.flow.Endless {
		if k.Opened() && k.Attention.Open != r.flagged() {
			r.upsert(NeedsAttentionAttribute.ValueSet(k.Attention.Open))
		}
		return
	}
	if k.Status == r.shown || !k.Opened() || !r.flow.Lasts(k.Status) && !r.flagged() {
		return
	}
	if r.upsert(r.flow.StatusKey().ValueSet(string(k.Status)), NeedsAttentionAttribute.ValueSet(k.Status == NeedsAttention)) {
		r.shown = k.Status
	}
}

// upsert writes search attributes, and reports whether it did.
func (r *run[S, P]) upsert(attributes ...temporal.SearchAttributeUpdate) bool {
	err := workflow.UpsertTypedSearchAttributes(r.ctx, attributes...)
	if err != nil {
		r.log.Warn("search attributes are not written", "stream", r.flow.StreamOf(r.in.ID), "error", err)
	}
	return err == nil
}

// flagged reports whether the attributes say that an operator must act; a continued run inherits what the one before it
// has shown.
func (r *run[S, P]) flagged() bool {
	flagged, _ := workflow.GetTypedSearchAttributes(r.ctx).GetBool(NeedsAttentionAttribute)
	return flagged
}

// Lists reports whether the list shows another thing after events of a saga than before: a status in which it may stay for long, or that a
// person must act, or need not any more.
func (f *Flow[S, P]) Lists(before, after *S) bool {
	was, is := kitOf(before), kitOf(after)
	if f.Endless {
		return is.Opened() && (!was.Opened() || is.Attention != was.Attention || f.ViewOf(before).Status != f.ViewOf(after).Status)
	}
	return f.Lasts(is.Status) || was.Status == NeedsAttention
}

// Lasts reports whether sagas may stay in a status for long. Then it is listed, and shown in search attributes: running workflows are
// replayed by this table.
func (f *Flow[S, P]) Lasts(s Status) bool {
	return s == Accepted || s == NeedsAttention || s.Terminal() || slices.Contains(f.LongStatuses, s)
}
