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

	MoneyWrong            Kind = "money_wrong"
	AuthorizationLeftOpen Kind = "authorization_stands"
	AuthorizedTwice       Kind = "authorized_twice"
	PaymentContradiction  Kind = "payment_contradiction"
	PaymentWithoutOrder   Kind = "payment_without_order"
	ExceptionOnRecord     Kind = "exception_on_record"
	StockBalance          Kind = "stock_balance"
	StockNegative         Kind = "stock_negative"
	StockSlots            Kind = "stock_slots"
	StockHeld             Kind = "stock_held"
	StockOutcome          Kind = "stock_outcome"
	ShortageUnsettled     Kind = "shortage_unsettled"
	StreamGap             Kind = "stream_gap"
	StreamFork            Kind = "stream_fork"
	StreamHash            Kind = "stream_hash"
	StreamKey             Kind = "stream_key"
	StreamDocument        Kind = "stream_document"
	StreamBeginning       Kind = "stream_beginning"
	StreamAfterEnd        Kind = "stream_after_end"
	StreamPivot           Kind = "stream_pivot"
	StreamFold            Kind = "stream_fold"
	ListMissing           Kind = "list_missing"
	ListBehind            Kind = "list_behind"
	ListAhead             Kind = "list_ahead"
	ListDifferent         Kind = "list_different"
	ListOrphan            Kind = "list_orphan"
	EndUnpublished        Kind = "end_unpublished"
)

// Repair says what is done about a finding.
type Repair string

// The repairs. They say what is done.
const (
	RepairResume    Repair = "starts a run that continues from the log"
	RepairRerun     Repair = "starts a run with the order from Temporal"
	RepairRepublish Repair = "starts a run that publishes every event again"
	RepairSignal    Repair = "sends the signal again"
	RepairSettle    Repair = "starts a run that handles it"
	RepairShortage  Repair = "starts a run that notifies the orders that hold it"
	RepairOnboard   Repair = "starts a run that continues the onboarding"
	RepairNotify    Repair = "starts a run that continues the message"
	RepairList      Repair = "writes the list entry again"
	RepairRecord    Repair = "recorded; a person must resolve it"
	RepairNone      Repair = "none; a person must resolve it"
	RepairDecided   Repair = "none; an operator decided it"
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

// Kinds is the table of everything that can be found, in the order of the invariants. docs/reference/findings.md is generated from it.
var Kinds = []Meaning{
	{WorkflowGone, 1, false, "The order is open and Temporal has no workflow for it: it was deleted, or lost with its namespace.", RepairResume},
	{WorkflowClosed, 1, false, "The order is open and its newest run is closed: terminated, timed out or failed.", RepairResume},
	{OrderUnrecorded, 1, false, "Only Temporal knows the order: its run recorded nothing, or the log was restored from an older backup.", RepairRerun},
	{WorkflowFailing, 1, false, "The workflow task of the order fails repeatedly: the code or its input is broken.", RepairNone},
	{OrderStalled, 1, false, "The run of the order has made no progress for too long, and waits for nothing.", RepairNone},
	{SignalLost, 1, false, "An interrupted run received a signal that would change the order, and no later run took it over.", RepairSignal},
	{AttentionForLong, 1, true, "The order, or a late event about it, has needed attention for more than a day.", RepairNone},
	{LateUnsettled, 1, false, "Money or goods arrived after the end of the order, and the saga that handles them is not running.", RepairSettle},
	{LateUnfounded, 1, false, "A late event is recorded for an order that is unknown or has not ended.", RepairRecord},
	{DeadUnfinished, 1, false, "The replay or retry of a dead letter was interrupted and its result is unknown: replay it again.", RepairNone},
	{CancellationUnanswered, 1, false, "A cancellation came before its order, and the order neither was cancelled nor refused it.", RepairRecord},
	{FactUndelivered, 1, false, "An open dead letter holds a fact about a known order: replay or discard it.", RepairNone},
	{CustomerUnsettled, 1, false, "A customer has registered or changed, and the onboarding saga has not finished.", RepairOnboard},
	{NoticeUnsettled, 1, false, "A message to a customer is not finished, and its saga is not running.", RepairNotify},

	{MoneyWrong, 2, false, "An ended order has cost its customer a wrong amount.", RepairRecord},
	{AuthorizationLeftOpen, 2, false, "The order has ended, and a payment is still authorized or pending.", RepairRecord},
	{AuthorizedTwice, 2, false, "The order has been authorized more than once.", RepairRecord},
	{PaymentContradiction, 2, false, "The payment contradicts itself or its order: captured twice or after a void, refunded beyond what was taken.", RepairRecord},
	{PaymentWithoutOrder, 2, false, "A payment was requested for an unknown order.", RepairRecord},
	{ExceptionOnRecord, 2, true, "Money or stock of an ended order differ because of a recorded intervention.", RepairDecided},

	{StockBalance, 3, false, "The balance of a movement does not match the previous balance and its quantity.", RepairRecord},
	{StockNegative, 3, false, "Stock on hand or reserved is below zero, or more was taken than was available.", RepairRecord},
	{StockSlots, 3, false, "An order reserved twice, or committed or released what it does not hold.", RepairRecord},
	{StockHeld, 3, false, "An ended or unknown order holds stock.", RepairRecord},
	{StockOutcome, 3, false, "The stock of a completed order was not committed, or that of another ended order was.", RepairRecord},
	{ShortageUnsettled, 3, false, "Less of a SKU is on hand than reserved, an order could give up its reservation, and the shortage saga is not running.", RepairShortage},

	{StreamGap, 4, false, "A version is missing.", RepairRecord},
	{StreamFork, 4, false, "A version exists twice, or does not follow the previous one.", RepairRecord},
	{StreamHash, 4, false, "The hash of a record is wrong: the record was changed.", RepairRecord},
	{StreamKey, 4, false, "A slot is empty or used twice.", RepairRecord},
	{StreamDocument, 4, false, "A document cannot be read, or its ID does not match its stream and version.", RepairRecord},
	{StreamBeginning, 4, false, "The stream of an order does not begin with order.accepted.", RepairRecord},
	{StreamAfterEnd, 4, false, "The stream of an order continues after its terminal event.", RepairRecord},
	{StreamPivot, 4, false, "A step contradicts the decision of the order, or was done before it.", RepairRecord},
	{StreamFold, 4, false, "The stream cannot be folded.", RepairRecord},
	{ListMissing, 4, false, "The list does not contain the order.", RepairList},
	{ListBehind, 4, false, "The list shows an older state of the order.", RepairList},
	{ListAhead, 4, false, "The list shows a version that is not in the log.", RepairList},
	{ListDifferent, 4, false, "The list differs from the log at the same version.", RepairList},
	{ListOrphan, 4, false, "The list contains an order that is not in the log.", RepairList},

	{EndUnpublished, 5, false, "The order has ended and its last run was interrupted: some events may not have been published.", RepairRepublish},
}

// MeaningOf returns the row of a kind.
func MeaningOf(k Kind) (m Meaning) {
	if i := slices.IndexFunc(Kinds, func(m Meaning) bool { return m.Kind == k }); i >= 0 {
		m = Kinds[i]
	}
	return m
}
