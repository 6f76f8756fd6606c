// Package inventory is the stock ledger: how many of each SKU there are, who holds them, and what became of
// them. A SKU is one stream of the event log, sku-<sku>; every change is one record, and every record carries
// the balance after it, so that the newest record alone says what there is.
//
// It may import event, internal/eventlog, internal/fault and workflows/order; it imports no driver.
//
// # Slots
//
// What an order does to a SKU takes two slots, which are keys of the SKU's stream. Each is written once, and
// never changes:
//
//	<orderId>/reserve  the Do slot:     stock.reserved | stock.refused | stock.fenced
//	<orderId>/settle   the settle slot: stock.committed | stock.released; only behind a stock.reserved
//
// What a call does and answers is decided by what stands in them:
//
//	Do slot    settle slot  Reserve                        Release            Commit
//	---------  -----------  -----------------------------  -----------------  -------------
//	empty      empty        writes reserved -> Done,       writes fenced, ok  Invalid
//	                        or refused -> Refused
//	reserved   empty        Done                           writes released,   writes
//	                                                       ok                 committed, ok
//	reserved   committed    Done                           EffectSettled      ok
//	reserved   released     Undone                         ok                 EffectSettled
//	refused    empty        Refused, as recorded           ok                 EffectSettled
//	fenced     empty        Undone                         ok                 EffectSettled
//
// "ok" writes nothing: a call that comes twice does nothing twice. Release means: make it not so, whether or not
// it happened, and keep it so; the fence stands in the Do slot itself, so that a Reserve that was on its way
// finds it taken. A Reserve whose quantity is not the recorded one is a Conflict; a fence has no quantity, so
// there is nothing to compare. Receipts, adjustments and counts take one slot each, <id>/receipt, <id>/adjustment and <id>/count;
// the same id again answers as the first time, with another quantity it is a Conflict.
//
// # Several SKUs for one order
//
// Acquire reserves what an order needs in the byte order of the SKUs, so that orders never wait for each other in a circle. A
// SKU of which too little is available is not refused while one of its holders holds for now (see order.State.HoldsForNow):
// then nothing is recorded, and the caller asks again. A refusal is written only while every reservation of the SKU is one
// whose order was looked at. Of a SKU with more than 1,000 holders, or with more than 10,000 records since its oldest one, only
// the newest are looked at.
//
// # Contract
//
// Balance: onHand includes what is reserved; available is onHand minus reserved; neither ever is negative,
// whoever races. Only a count may leave more reserved than is on hand: nothing is available then, and the difference is the
// shortfall. A commit lowers onHand and reserved; one of more than is on hand is refused with StockInsufficient until more is
// there, or fewer are reserved. For every SKU
//
//	added + adjusted + returned = onHand + committed
//	reserved                    = the sum of the reservations that are not settled
//
// Unknown SKUs: a SKU is known from its first stock.added or stock.adjusted. Before that its stream may hold
// refusals and fences, whose reason is unknown_sku, and Balance does not find it.
//
// Threads and processes: a Ledger may be used by any number of goroutines, and any number of ledgers may use one
// log. Being right comes from the log's keys and versions alone. What a ledger remembers only saves reads: an
// answer is given from memory where the fact cannot change, and is otherwise based on something that the log
// said during the call.
//
// Group commit: the changes of one SKU that wait at the same time share one insert of at most eventlog.MaxBatch
// records; a change that meets an idle SKU is written at once. A committer that loses a race goes on from the
// winner's records, after a short random pause, as long as its callers wait.
//
// Errors: Invalid (ids, quantities, a commit of what was never reserved), Conflict, EffectSettled,
// StockInsufficient, NotFound as said at each method; OutcomeUnknown when the change may or may not have been
// written, now or later, which includes every call whose context ends: ask again with the same ids; Unavailable
// when nothing was written; Corrupt when the log holds what no ledger writes.
package inventory
