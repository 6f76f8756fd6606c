// Package inventory is the stock ledger: the quantity of each SKU, the orders that hold it, and what happened to it. A SKU is one stream of
// the event log, sku-<sku>; every change is one record, and every record has the balance after it, so that the newest record alone gives the
// current balance.
//
// It may import event, internal/eventlog, internal/fault and internal/stock; it imports no driver.
//
// # Slots
//
// An order has two slots in the stream of a SKU. Each is written once and never changes:
//
//	<orderId>/reserve  the Do slot:     stock.reserved | stock.refused | stock.fenced
//	<orderId>/settle   the settle slot: stock.committed | stock.released; only after a stock.reserved
//
// The slots decide the effect and the result of a call:
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
// "ok" writes nothing: a repeated call has no second effect. Release means: undo the reservation, whether or not it happened, and prevent it
// from happening later; the fence is in the Do slot itself, so that a delayed Reserve finds it taken. A Reserve with a different quantity
// than the recorded one is a Conflict; a fence has no quantity. What an order has committed may be returned, in a slot <orderId>/return/<id> for each
// return: stock.returned. The caller makes sure that no more is returned than was committed. Receipts, adjustments and counts have one slot each, <id>/receipt,
// <id>/adjustment and <id>/count; a repeated call with the same ID returns the first result, with a different quantity it is a Conflict.
//
// # Several SKUs for one order
//
// Acquire reserves the SKUs of an order in byte order, so that orders cannot deadlock. A SKU with too little available is not refused while
// one of its holders is temporary (see Config.Temporary): nothing is recorded, and the caller tries again. A refusal is written only
// while the holders of all reservations of the SKU have been checked. Of a SKU with more than 1,000 holders, or with more than 10,000
// records since its oldest one, only the newest holders are checked.
//
// # Contract
//
// Balance: onHand includes reserved; available is onHand minus reserved; both are never negative, also under concurrency. Only a count may
// leave more reserved than is on hand: then nothing is available, and the difference is the shortfall. A commit lowers onHand and reserved;
// a commit of more than is on hand is refused with StockInsufficient until stock is added or fewer are reserved. For every SKU
//
//	added + adjusted + returned = onHand + committed
//	reserved                    = the sum of the reservations that are neither committed nor released
//
// Unknown SKUs: a SKU is known from its first stock.added or stock.adjusted. Before that its stream may have refusals and fences, with reason
// unknown_sku, and Balance does not find it.
//
// Concurrency: a Ledger is safe for concurrent use, and several ledgers may use one log. Correctness depends only on the keys and versions of
// the log. Caches only save reads: a result is taken from the cache only if it can never change; otherwise the log is read during the call.
//
// Group commit: waiting changes of one SKU share one append of at most eventlog.MaxBatch records; a change of an idle SKU is written at once.
// A committer that loses a race continues from the winner's records, after a short random pause, while its callers wait.
//
// Errors: Invalid (IDs, quantities), Conflict, EffectSettled, StockInsufficient and NotFound as documented at each method; OutcomeUnknown if
// the change may or may not have been written, now or later, which includes every call whose context ends: repeat the call with the same IDs;
// Unavailable if nothing was written; Corrupt if the log has records that no ledger writes.
package inventory
