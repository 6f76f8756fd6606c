package reconcile

import "slices"

// Kind is a kind of finding. It is a name that people search for and other programs compare: it never changes.
type Kind string

// The kinds. Kinds says what each one means.
const (
	WorkflowGone     Kind = "workflow_gone"
	WorkflowClosed   Kind = "workflow_closed"
	OrderUnrecorded  Kind = "order_unrecorded"
	WorkflowFailing  Kind = "workflow_failing"
	OrderStalled     Kind = "order_stalled"
	SignalLost       Kind = "signal_lost"
	AttentionForLong Kind = "attention_for_long"
	LateUnsettled    Kind = "late_unsettled"
	LateUnfounded    Kind = "late_unfounded"
	DeadUnfinished   Kind = "dead_unfinished"

	CancellationUnanswered Kind = "cancellation_unanswered"
	FactUndelivered        Kind = "fact_undelivered"

	CustomerUnsettled Kind = "customer_unsettled"
	NoticeUnsettled   Kind = "notice_unsettled"

	MoneyWrong           Kind = "money_wrong"
	AuthorizationStands  Kind = "authorization_stands"
	AuthorizedTwice      Kind = "authorized_twice"
	PaymentContradiction Kind = "payment_contradiction"
	PaymentWithoutOrder  Kind = "payment_without_order"
	ExceptionOnRecord    Kind = "exception_on_record"
	StockBalance         Kind = "stock_balance"
	StockNegative        Kind = "stock_negative"
	StockSlots           Kind = "stock_slots"
	StockHeld            Kind = "stock_held"
	StockOutcome         Kind = "stock_outcome"
	ShortageUnsettled    Kind = "shortage_unsettled"
	StreamGap            Kind = "stream_gap"
	StreamFork           Kind = "stream_fork"
	StreamHash           Kind = "stream_hash"
	StreamKey            Kind = "stream_key"
	StreamDocument       Kind = "stream_document"
	StreamBeginning      Kind = "stream_beginning"
	StreamAfterEnd       Kind = "stream_after_end"
	StreamPivot          Kind = "stream_pivot"
	StreamFold           Kind = "stream_fold"
	ListMissing          Kind = "list_missing"
	ListBehind           Kind = "list_behind"
	ListAhead            Kind = "list_ahead"
	ListDifferent        Kind = "list_different"
	ListOrphan           Kind = "list_orphan"
	EndUnpublished       Kind = "end_unpublished"
)

// Repair says what is done about a finding.
type Repair string

// The repairs. They say what is done.
const (
	RepairResume    Repair = "starts a run that goes on from the log"
	RepairRerun     Repair = "starts a run that begins with the order from Temporal"
	RepairRepublish Repair = "starts a run that publishes every event again"
	RepairSignal    Repair = "tells the order again"
	RepairSettle    Repair = "starts a run that settles it"
	RepairShortage  Repair = "starts a run that asks the orders that hold it"
	RepairOnboard   Repair = "starts a run that goes on with the customer"
	RepairNotify    Repair = "starts a run that goes on with the message"
	RepairList      Repair = "makes the list entry anew"
	RepairRecord    Repair = "recorded, for people to mend"
	RepairNone      Repair = "nothing: for people to mend"
	RepairDecided   Repair = "nothing: it was decided"
)

// Meaning is a row of the table of kinds.
type Meaning struct {
	Kind Kind
	// Invariant is the number of the invariant that is broken; see the documentation of operations.
	Invariant int
	// Note reports that it is worth a look and no violation.
	Note bool
	// Means is one sentence.
	Means  string
	Repair Repair
}

// Kinds is the table of everything that can be found, in the order of the invariants. The documentation repeats it; a
// test holds the two together.
var Kinds = []Meaning{
	{WorkflowGone, 1, false, "The order is open and Temporal has no workflow of it: deleted, or lost with its namespace.", RepairResume},
	{WorkflowClosed, 1, false, "The order is open and its newest run has closed: terminated, timed out, failed.", RepairResume},
	{OrderUnrecorded, 1, false, "Temporal alone knows the order: its run had recorded nothing, or the log was restored from an older backup.", RepairRerun},
	{WorkflowFailing, 1, false, "The order's workflow task fails again and again: the code or its input is broken.", RepairNone},
	{OrderStalled, 1, false, "The order's run is there, and for too long nothing has come of it, nor is anything due.", RepairNone},
	{SignalLost, 1, false, "A run that was broken off was told something that would change the order, and no later run took it over.", RepairSignal},
	{AttentionForLong, 1, true, "The order, or what came after it, has waited on the attention desk for more than a day.", RepairNone},
	{LateUnsettled, 1, false, "Money or goods came after the order had ended, and the saga that settles that is not running.", RepairSettle},
	{LateUnfounded, 1, false, "Something is recorded as late for an order that nobody knows, or that has not ended.", RepairRecord},
	{DeadUnfinished, 1, false, "A dead letter was about to be replayed or retried, and nobody knows whether it was: replay it again.", RepairNone},
	{CancellationUnanswered, 1, false, "A cancellation came before its order, and the order was neither cancelled by it nor refused it.", RepairRecord},
	{FactUndelivered, 1, false, "An open dead letter holds a fact about an order that is known: replay it, or discard it.", RepairNone},
	{CustomerUnsettled, 1, false, "A customer has registered, or changed, and the saga that welcomes and publishes has not come to its end.", RepairOnboard},
	{NoticeUnsettled, 1, false, "A message to a customer is to be sent, or was about to be, and its saga is not running.", RepairNotify},

	{MoneyWrong, 2, false, "An ended order has cost its customer another amount than it should.", RepairRecord},
	{AuthorizationStands, 2, false, "The order has ended, and money is still set aside or waited for.", RepairRecord},
	{AuthorizedTwice, 2, false, "The order has been authorized more than once.", RepairRecord},
	{PaymentContradiction, 2, false, "The payment contradicts itself or its order: captured twice or after a void, refunded beyond what was taken.", RepairRecord},
	{PaymentWithoutOrder, 2, false, "A payment was asked for, and nobody knows its order.", RepairRecord},
	{ExceptionOnRecord, 2, true, "Money or stock of an ended order differ, as an operator's recorded resolution says.", RepairDecided},

	{StockBalance, 3, false, "A movement claims another balance than the one before it and its quantity make.", RepairRecord},
	{StockNegative, 3, false, "Stock on hand or reserved is below zero, or more was taken than was available.", RepairRecord},
	{StockSlots, 3, false, "An order reserved twice, or settled what it does not hold.", RepairRecord},
	{StockHeld, 3, false, "An order holds stock that has ended, or that nobody knows.", RepairRecord},
	{StockOutcome, 3, false, "A completed order's stock has not left, or that of another ended order has.", RepairRecord},
	{ShortageUnsettled, 3, false, "Fewer of a SKU are on hand than are reserved, an order could give way, and the saga that asks it is not running.", RepairShortage},

	{StreamGap, 4, false, "A version is missing.", RepairRecord},
	{StreamFork, 4, false, "A version is there twice, or does not follow the one before it.", RepairRecord},
	{StreamHash, 4, false, "A record does not have the hash that it claims: it was changed.", RepairRecord},
	{StreamKey, 4, false, "A slot is empty or taken twice.", RepairRecord},
	{StreamDocument, 4, false, "A document cannot be read, or does not stand where its stream and version say.", RepairRecord},
	{StreamBeginning, 4, false, "An order's stream does not begin with its order.accepted.", RepairRecord},
	{StreamAfterEnd, 4, false, "An order's stream goes on after its terminal event.", RepairRecord},
	{StreamPivot, 4, false, "Something happened that the order had not decided, or had decided otherwise.", RepairRecord},
	{StreamFold, 4, false, "The stream cannot be folded.", RepairRecord},
	{ListMissing, 4, false, "The list does not show the order.", RepairList},
	{ListBehind, 4, false, "The list shows an older state of the order.", RepairList},
	{ListAhead, 4, false, "The list shows a version that the log does not have.", RepairList},
	{ListDifferent, 4, false, "The list says otherwise than the log does at the same version.", RepairList},
	{ListOrphan, 4, false, "The list shows an order that the log does not know.", RepairList},

	{EndUnpublished, 5, false, "The order has ended and its last run was broken off: nobody knows which of its events were published.", RepairRepublish},
}

// MeaningOf returns the row of a kind.
func MeaningOf(k Kind) (m Meaning) {
	if i := slices.IndexFunc(Kinds, func(m Meaning) bool { return m.Kind == k }); i >= 0 {
		m = Kinds[i]
	}
	return m
}
