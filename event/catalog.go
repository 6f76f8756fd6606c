package event

import "strings"

// Direction says where events of a type come from and go to.
type Direction string

const (
	// Inbound events come over the bus and start or signal workflows.
	Inbound Direction = "inbound"
	// Published events are produced here, stand in a stream, and are published after that.
	Published Direction = "published"
	// Ledger events stay in the event log: stock, the payment simulator, verdicts and violations.
	Ledger Direction = "ledger"
)

// Inbound types.
const (
	OrderCreated               = "order.created"
	OrderCancellationRequested = "order.cancellation_requested"
	PaymentSucceeded           = "payment.succeeded"
	PaymentFailed              = "payment.failed"
	ShipmentDispatched         = "shipment.dispatched"
	ShipmentDelivered          = "shipment.delivered"
	ShipmentLost               = "shipment.lost"
	StockReceived              = "stock.received"
	UserRegistered             = "user.registered"
)

// Published types.
const (
	OrderAccepted             = "order.accepted"
	InventoryReserved         = "inventory.reserved"
	InventoryRejected         = "inventory.rejected"
	InventoryReleased         = "inventory.released"
	InventoryCommitted        = "inventory.committed"
	PaymentPending            = "payment.pending"
	PaymentAuthorized         = "payment.authorized"
	PaymentDeclined           = "payment.declined"
	PaymentVoided             = "payment.voided"
	PaymentCaptured           = "payment.captured"
	PaymentCaptureRefused     = "payment.capture_refused"
	OrderConfirmed            = "order.confirmed"
	OrderShipped              = "order.shipped"
	OrderFulfillmentWithdrawn = "order.fulfillment_withdrawn"
	OrderSettling             = "order.settling"
	OrderCompensating         = "order.compensating"
	OrderDelivered            = "order.delivered"
	OrderCompleted            = "order.completed"
	OrderRejected             = "order.rejected"
	OrderCancelled            = "order.cancelled"
	OrderFailed               = "order.failed"
	OrderCancellationRefused  = "order.cancellation_refused"
	OrderNeedsAttention       = "order.needs_attention"
	OrderAttentionResolved    = "order.attention_resolved"
	OrderStepRetried          = "order.step_retried"
	OrderStepSkipped          = "order.step_skipped"
	OrderStepSubstituted      = "order.step_substituted"
	PaymentRefunded           = "payment.refunded"

	CustomerRegistered      = "customer.registered"
	CustomerProfileUpdated  = "customer.profile_updated"
	CustomerProfileOutdated = "customer.profile_outdated"
	CustomerOnboarded       = "customer.onboarded"
)

// Ledger types: the stock ledger, the payment simulator's ledger, verdicts and violations.
const (
	StockAdded     = "stock.added"
	StockAdjusted  = "stock.adjusted"
	StockReserved  = "stock.reserved"
	StockRefused   = "stock.refused"
	StockFenced    = "stock.fenced"
	StockReleased  = "stock.released"
	StockCommitted = "stock.committed"
	StockReturned  = "stock.returned"

	ChargeAuthorized     = "charge.authorized"
	ChargePending        = "charge.pending"
	ChargeUnavailable    = "charge.unavailable"
	ChargeRefused        = "charge.refused"
	ChargeFenced         = "charge.fenced"
	ChargeCaptured       = "charge.captured"
	ChargeCaptureRefused = "charge.capture_refused"
	ChargeCaptureDelayed = "charge.capture_delayed"
	ChargeVoided         = "charge.voided"
	ChargeArrived        = "charge.arrived"
	ChargeRefunded       = "charge.refunded"

	PaymentArrivedLate    = "payment.arrived_late"
	PaymentNothingArrived = "payment.nothing_arrived"

	RefundsReserved = "refunds.reserved"

	EventLate = "event.late"

	OrderCancellationKept = "order.cancellation_kept"

	ReconcileViolationFound = "reconcile.violation_found"

	NoticeRequested     = "notice.requested"
	NoticeIntended      = "notice.intended"
	NoticeSent          = "notice.sent"
	NoticeRefused       = "notice.refused"
	NoticeNotAccepted   = "notice.not_accepted"
	NoticeUnknown       = "notice.unknown"
	NoticeGivenUp       = "notice.given_up"
	DeadReceived        = "dead.received"
	DeadRetryBegun      = "dead.retry_begun"
	DeadRetried         = "dead.retried"
	DeadRetryFailed     = "dead.retry_failed"
	DeadReplayRequested = "dead.replay_requested"
	DeadReplayed        = "dead.replayed"
	DeadDiscarded       = "dead.discarded"
)

// Producers, for readers.
const (
	ProducerShop      = "a shop"
	ProducerPayments  = "the payment provider's side"
	ProducerWarehouse = "the warehouse"
	ProducerCarrier   = "the carrier"
	ProducerOrderSaga = "the order saga"
	ProducerLateSaga  = "what settles late events"
	ProducerStock     = "the stock ledger"
	ProducerSimulator = "the payment simulator"
	ProducerRefunds   = "the refund ledger"
	ProducerReconcile = "`ordersaga reconcile`"
	ProducerKeeper    = "the keeper of dead letters"
	ProducerInbox     = "the consumer of the inbox"
	ProducerUsers     = "the service that customers register with"
	ProducerCustomers = "the customer saga"
	ProducerNotices   = "the notification saga"
	ProducerOperator  = "an operator"
)

// Type describes an event type.
type Type struct {
	// Name is the type on the wire and in the log.
	Name string
	// Version is the newest version of its data's schema; older ones down to 1 are understood.
	Version int
	// Direction says where its events come from and go to.
	Direction Direction
	// Producer says who sends or writes its events, for readers.
	Producer string
	// Aliases are other names under which the same event arrives, such as OrderCreated.
	Aliases []string
	// SubjectFields names the data fields in which senders say what the event is about: the first that has a text counts.
	// Nil means orderId. The envelope's subject stands in where the data is silent.
	SubjectFields []string
	// TimeUsed reports whether what follows from an inbound event depends on its time: such an event is refused when its time
	// cannot be read.
	TimeUsed bool
	// Fact reports that its events say something about an order that there is. They are refused only when their order or their
	// type cannot be determined: a remark that cannot be used is no reason to lose a payment or a delivery.
	Fact bool
	// IDField is set for additive types: each of their events adds something, so that without an id a redelivery cannot be
	// told from another event. It names the data field in which senders without an envelope give the id.
	IDField string
	// Detail names the data fields that take no part in equality: texts, times and running balances.
	Detail []string
	// Meaning is one sentence for readers.
	Meaning string
}

// catalog lists every type. Names on the wire are data, never derived from Go identifiers.
var catalog = []Type{
	{Name: OrderCreated, Version: 1, Direction: Inbound, Producer: ProducerShop, Aliases: []string{"OrderCreated"},
		Meaning: "A shop asks for an order: starts the order saga."},
	{Name: OrderCancellationRequested, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerShop, Aliases: []string{"OrderCancellationRequested"},
		Meaning: "Somebody asks to cancel an order."},
	{Name: PaymentSucceeded, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerPayments, Aliases: []string{"PaymentSucceeded"},
		Meaning: "A hint that a pending payment went through; the gateway is asked."},
	{Name: PaymentFailed, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerPayments, Aliases: []string{"PaymentFailed"},
		Meaning: "A hint that a pending payment failed; the gateway is asked."},
	{Name: ShipmentDispatched, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerWarehouse, Aliases: []string{"ShipmentDispatched"},
		Meaning: "The warehouse handed the goods to a carrier."},
	{Name: ShipmentDelivered, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerCarrier, Aliases: []string{"ShipmentDelivered"},
		Meaning: "The carrier delivered the goods; implies that they were dispatched."},
	{Name: ShipmentLost, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerCarrier, Aliases: []string{"ShipmentLost"},
		Meaning: "The carrier lost the goods."},
	{Name: StockReceived, Version: 1, Direction: Inbound, Producer: ProducerWarehouse, Aliases: []string{"StockReceived"}, SubjectFields: []string{"sku"}, IDField: "receiptId",
		Meaning: "Goods arrived at the warehouse: a receipt in the stock ledger."},

	{Name: OrderAccepted, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Meaning: "The order is taken on; its saga runs."},
	{Name: InventoryReserved, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Meaning: "Every line is reserved."},
	{Name: InventoryRejected, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"lines"},
		Meaning: "At least one line cannot be reserved."},
	{Name: InventoryReleased, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "No line of the order holds stock, and none ever will."},
	{Name: InventoryCommitted, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The reserved stock has left for good."},
	{Name: PaymentPending, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"expiresAt"},
		Meaning: "The payment waits for its payer."},
	{Name: PaymentAuthorized, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"eventIdentity"},
		Meaning: "The money is set aside."},
	{Name: PaymentDeclined, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"code", "eventIdentity"},
		Meaning: "The payment was definitely refused."},
	{Name: PaymentVoided, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "No authorization of the order stands, and none ever will."},
	{Name: PaymentCaptured, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Meaning: "The money is taken."},
	{Name: PaymentCaptureRefused, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"code"},
		Meaning: "The gateway definitely refused to take the money."},
	{Name: OrderConfirmed, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"expiresAt"},
		Meaning: "The warehouse is asked to dispatch the goods."},
	{Name: OrderShipped, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Detail:  []string{"carrier", "trackingNumber", "expiresAt", "eventIdentity"},
		Meaning: "The goods are on their way."},
	{Name: OrderFulfillmentWithdrawn, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The warehouse is asked not to dispatch the goods."},
	{Name: OrderSettling, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The pivot: from here on the order goes forward."},
	{Name: OrderCompensating, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail", "eventIdentity"},
		Meaning: "The pivot: from here on everything that was done is undone."},
	{Name: OrderDelivered, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"eventIdentity"},
		Meaning: "The goods arrived."},
	{Name: OrderCompleted, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "Terminal: goods and money changed hands."},
	{Name: OrderRejected, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the order could not be fulfilled; nothing is held."},
	{Name: OrderCancelled, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the order was cancelled on request; nothing is held."},
	{Name: OrderFailed, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail"},
		Meaning: "Terminal: a participant did not answer in time; nothing is held."},
	{Name: OrderCancellationRefused, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"reason", "detail"},
		Meaning: "A cancellation came too late."},
	{Name: OrderNeedsAttention, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"error", "attempts", "nextTry"},
		Meaning: "A step is stuck; an operator should look. It keeps trying slowly."},
	{Name: OrderAttentionResolved, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "What an operator was asked to look at is resolved."},
	{Name: OrderStepRetried, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "An operator had a stuck step tried again at once."},
	{Name: OrderStepSkipped, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "An operator decided that the order goes on without a stuck step."},
	{Name: OrderStepSubstituted, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "An operator did by other means what a stuck step should have done."},
	{Name: PaymentRefunded, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "Money was given back: what came late, in a late stream; in an order's stream what was captured although the order is undone."},

	{Name: StockAdded, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "Goods came in."},
	{Name: StockAdjusted, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "A correction after counting, up or down."},
	{Name: StockReserved, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "An order holds stock."},
	{Name: StockRefused, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved", "reason"},
		Meaning: "An order asked for more than was available."},
	{Name: StockFenced, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "A reservation was undone before it was made: it can never be made."},
	{Name: StockReleased, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "A reservation was given back."},
	{Name: StockCommitted, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "Reserved stock left for good."},
	{Name: StockReturned, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "Committed stock came back."},

	{Name: ChargeAuthorized, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: an authorization stands."},
	{Name: ChargePending, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the payer is asked."},
	{Name: ChargeUnavailable, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the provider went down for a while; nothing was charged."},
	{Name: ChargeRefused, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the payment was refused."},
	{Name: ChargeFenced, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: voided before it was authorized: it can never be authorized."},
	{Name: ChargeCaptured, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the money was taken."},
	{Name: ChargeCaptureRefused, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the capture was refused."},
	{Name: ChargeCaptureDelayed, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the capture timed out; it happens after the next look-up."},
	{Name: ChargeVoided, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the authorization was given back."},
	{Name: ChargeArrived, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the payer's money came after the payment had been voided; it is there to be given back."},
	{Name: ChargeRefunded, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: money that was captured or has arrived was given back."},

	{Name: PaymentArrivedLate, Version: 1, Direction: Ledger, Producer: ProducerLateSaga,
		Meaning: "Money came after its order had ended; it is given back."},
	{Name: PaymentNothingArrived, Version: 1, Direction: Ledger, Producer: ProducerLateSaga,
		Meaning: "Somebody said that a payment had succeeded after its order had ended; the gateway knows of no money."},
	{Name: RefundsReserved, Version: 1, Direction: Ledger, Producer: ProducerRefunds,
		Meaning: "Money of a payment is about to be given back: no other refund may give it back, too."},
	{Name: EventLate, Version: 1, Direction: Ledger, Producer: ProducerLateSaga, Detail: []string{"detail"},
		Meaning: "The verdict on an event that came after its order had ended."},
	{Name: OrderCancellationKept, Version: 1, Direction: Ledger, Producer: ProducerInbox,
		Meaning: "A cancellation came before its order; the order is cancelled by it when it comes."},

	{Name: ReconcileViolationFound, Version: 1, Direction: Ledger, Producer: ProducerReconcile, Detail: []string{"detail"},
		Meaning: "Something that must hold does not, and people have to mend it."},

	{Name: DeadReceived, Version: 1, Direction: Ledger, Producer: ProducerKeeper, Detail: []string{"type", "subject"}, Meaning: "A message became a dead letter, and is kept."},
	{Name: DeadRetryBegun, Version: 1, Direction: Ledger, Producer: ProducerKeeper,
		Meaning: "A message that the broker gave up on is about to be handled once more, alone."},
	{Name: DeadRetried, Version: 1, Direction: Ledger, Producer: ProducerKeeper, Meaning: "Handled alone, the message did what it should: the letter is settled."},
	{Name: DeadRetryFailed, Version: 1, Direction: Ledger, Producer: ProducerKeeper,
		Meaning: "Handled alone, the message failed again, or ended the process: it is for people now."},
	{Name: DeadReplayRequested, Version: 1, Direction: Ledger, Producer: ProducerOperator, Detail: []string{"by", "note"},
		Meaning: "Somebody has decided that a dead letter is sent to its queue again; it is about to be."},
	{Name: DeadReplayed, Version: 1, Direction: Ledger, Producer: ProducerOperator, Meaning: "The broker has the replayed message in its queue."},
	{Name: DeadDiscarded, Version: 1, Direction: Ledger, Producer: ProducerOperator, Detail: []string{"by", "note"},
		Meaning: "Somebody has decided that nothing is to come of a dead letter."},
	{Name: UserRegistered, Version: 1, Direction: Inbound, Producer: ProducerUsers, Aliases: []string{"UserRegistered"}, SubjectFields: []string{"customerId", "userId"}, TimeUsed: true,
		Meaning: "Somebody has registered, or changed their profile: starts the onboarding, or updates the profile."},
	{Name: CustomerRegistered, Version: 1, Direction: Published, Producer: ProducerCustomers, Detail: []string{"keyId", "sealed"},
		Meaning: "A customer is known; e-mail and name are sealed."},
	{Name: CustomerProfileUpdated, Version: 1, Direction: Published, Producer: ProducerCustomers, Detail: []string{"keyId", "sealed"},
		Meaning: "The customer's profile is another one from here on; e-mail and name are sealed."},
	{Name: CustomerProfileOutdated, Version: 1, Direction: Published, Producer: ProducerCustomers,
		Meaning: "A profile came that is older than the one that is known; it changes nothing and is not kept."},
	{Name: CustomerOnboarded, Version: 1, Direction: Published, Producer: ProducerCustomers,
		Meaning: "Everything that a registration starts is started."},
	{Name: NoticeRequested, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"until"},
		Meaning: "Somebody is to be told something."},
	{Name: NoticeIntended, Version: 1, Direction: Ledger, Producer: ProducerNotices,
		Meaning: "A message is about to be sent: whoever finds this without an outcome does not send it again."},
	{Name: NoticeSent, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"}, Meaning: "Terminal: the message was accepted."},
	{Name: NoticeRefused, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"}, Meaning: "Terminal: the message was refused for good."},
	{Name: NoticeNotAccepted, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"},
		Meaning: "The message was definitely not accepted; it is tried again."},
	{Name: NoticeUnknown, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"},
		Meaning: "Terminal: nobody knows whether the message was accepted, so it is not sent again."},
	{Name: NoticeGivenUp, Version: 1, Direction: Ledger, Producer: ProducerNotices, Meaning: "Terminal: the message was not sent and will not be."},
}

// Stream names begin with what they are about.
const (
	orderPrefix   = "order-"
	stockPrefix   = "sku-"
	paymentPrefix = "payment-"
	// flowPaymentPrefix begins the ledgers of payments of other flows: no ID of an order makes a name that begins like this.
	flowPaymentPrefix = "payment."
	refundsPrefix     = "refunds-"
	latePrefix        = "late-"
	earlyPrefix       = "early-"
	reconcilePrefix   = "reconcile-"
	deadPrefix        = "dead-"
	customerPrefix    = "customer-"
	noticePrefix      = "notice-"
)

// OrderStream names the stream of an order.
func OrderStream(orderID string) string { return orderPrefix + Escape(orderID) }

// StockStream names the stock ledger of a SKU.
func StockStream(sku string) string { return stockPrefix + Escape(sku) }

// PaymentStream names the payment simulator's ledger of an order.
func PaymentStream(orderID string) string { return paymentPrefix + Escape(orderID) }

// FlowPaymentStream names the payment simulator's ledger of a saga that is no order. Flow is the stream of its flow, which has no hyphen.
func FlowPaymentStream(flow, id string) string { return flowPaymentPrefix + flow + "-" + Escape(id) }

// FlowPaymentOf returns the saga whose payment a ledger of the payment simulator is about.
func FlowPaymentOf(stream string) (flow, id string, ok bool) {
	rest, ok := strings.CutPrefix(stream, flowPaymentPrefix)
	flow, escaped, found := strings.Cut(rest, "-")
	if !ok || !found {
		return "", "", false
	}
	id, ok = Unescape(escaped)
	return flow, id, ok
}

// PaymentReferenceOf returns the order whose payment a ledger of the payment simulator is about.
func PaymentReferenceOf(stream string) (string, bool) { return idOf(stream, paymentPrefix) }

// SKUOf returns the SKU that a stock ledger is about.
func SKUOf(stream string) (string, bool) { return idOf(stream, stockPrefix) }

// RefundsStream names the refund ledger of a payment.
func RefundsStream(reference string) string { return refundsPrefix + Escape(reference) }

// RefundsReferenceOf returns the reference of the payment that a refund ledger is about.
func RefundsReferenceOf(stream string) (string, bool) {
	return idOf(stream, refundsPrefix)
}

// LateStream names the verdicts on events that came after an order had ended.
func LateStream(orderID string) string { return latePrefix + Escape(orderID) }

// EarlyStream names the cancellations that came before their order.
func EarlyStream(orderID string) string { return earlyPrefix + Escape(orderID) }

// EarlyOrderIDOf returns the order id that a stream of early cancellations is about.
func EarlyOrderIDOf(stream string) (string, bool) { return idOf(stream, earlyPrefix) }

// LateOrderIDOf returns the order id that a late stream is about.
func LateOrderIDOf(stream string) (string, bool) { return idOf(stream, latePrefix) }

// ReconcileStream names what was found about a stream that people have to mend.
func ReconcileStream(stream string) string { return reconcilePrefix + stream }

// DeadStream names what was decided about a dead letter.
func DeadStream(letterID string) string { return deadPrefix + Escape(letterID) }

// DeadLetterIDOf returns the id of the dead letter that a stream is about.
func DeadLetterIDOf(stream string) (string, bool) { return idOf(stream, deadPrefix) }

// OrderIDOf returns the order id that an order stream is about.
func OrderIDOf(stream string) (string, bool) { return idOf(stream, orderPrefix) }

// CustomerStream names the stream of a customer.
func CustomerStream(customerID string) string { return customerPrefix + Escape(customerID) }

// CustomerIDOf returns the customer id that a customer stream is about.
func CustomerIDOf(stream string) (string, bool) { return idOf(stream, customerPrefix) }

// NoticeStream names the stream of a message to a customer.
func NoticeStream(noticeID string) string { return noticePrefix + Escape(noticeID) }

// NoticeIDOf returns the id of the message that a notice stream is about.
func NoticeIDOf(stream string) (string, bool) { return idOf(stream, noticePrefix) }
