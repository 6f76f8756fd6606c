package event

// Direction is where events of a type come from and go to.
type Direction string

const (
	// Inbound events come over the bus and start or signal workflows.
	Inbound Direction = "inbound"
	// Published events are written to a stream and then published.
	Published Direction = "published"
	// Ledger events are only in the event log: stock, the payment simulator, late events, violations.
	Ledger Direction = "ledger"
)

// Producers, for the documentation.
const (
	ProducerShop        = "a shop"
	ProducerPayments    = "the payment provider"
	ProducerWarehouse   = "the warehouse"
	ProducerCarrier     = "the carrier"
	ProducerOrderSaga   = "the order saga"
	ProducerLateSaga    = "the late payment saga"
	ProducerStock       = "the stock ledger"
	ProducerSimulator   = "the payment simulator"
	ProducerRefunds     = "the refund ledger"
	ProducerRefundSaga  = "the refund saga"
	ProducerDisputeSaga = "the dispute saga"
	ProducerReturnSaga  = "the return saga"
	ProducerReconcile   = "`ordersaga reconcile`"
	ProducerDeadLetters = "the dead letter service"
	ProducerInbox       = "the consumer of the inbox"
	ProducerUsers       = "the service where customers register"
	ProducerCustomers   = "the customer saga"
	ProducerNotices     = "the notification saga"
	ProducerOperator    = "an operator"
	ProducerAudit       = "`ordersaga audit checkpoint`"
)

// Type describes an event type.
type Type struct {
	// Name is the type in messages and in the log.
	Name string
	// Version is the newest version of its schema; all versions from 1 are supported.
	Version int
	// Direction is where its events come from and go to.
	Direction Direction
	// Producer is who sends or writes its events, for the documentation.
	Producer string
	// Aliases are other names of the type in messages, such as OrderCreated.
	Aliases []string
	// SubjectFields are the data fields that may have the subject: the first one with a text is used. Nil means orderId. Without such a
	// field the subject of the envelope is used.
	SubjectFields []string
	// TimeUsed is set if the effect of an inbound event depends on its time: it is refused if the time is invalid.
	TimeUsed bool
	// Fact is set for events about an existing order. They are refused only if their order or type cannot be determined: an invalid
	// optional field is no reason to lose a payment or a delivery.
	Fact bool
	// IDField is set for additive types: each event adds something, so that without an ID a redelivery cannot be distinguished from
	// another event. It is the data field with the ID for senders without an envelope.
	IDField string
	// Detail are the data fields that are ignored in comparisons: texts, times and running balances.
	Detail []string
	// Meaning is one sentence for the documentation.
	Meaning string
}

// catalog has all types. Names in messages are data, never derived from Go identifiers.
var catalog = []Type{
	{Name: OrderCreated, Version: 1, Direction: Inbound, Producer: ProducerShop, Aliases: []string{"OrderCreated"},
		Meaning: "A shop places an order. Starts the order saga."},
	{Name: OrderCancellationRequested, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerShop, Aliases: []string{"OrderCancellationRequested"},
		Meaning: "A request to cancel an order."},
	{Name: PaymentSucceeded, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerPayments, Aliases: []string{"PaymentSucceeded"},
		Meaning: "A notification that a pending payment succeeded; the gateway is asked."},
	{Name: PaymentFailed, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerPayments, Aliases: []string{"PaymentFailed"},
		Meaning: "A notification that a pending payment failed; the gateway is asked."},
	{Name: PaymentDisputed, Version: 1, Direction: Inbound, Producer: ProducerPayments, Aliases: []string{"PaymentDisputed"}, SubjectFields: []string{"orderId"}, IDField: "disputeId",
		Meaning: "The payer disputes a captured payment. Starts a dispute saga."},
	{Name: PaymentDisputeClosed, Version: 1, Direction: Inbound, Producer: ProducerPayments, Aliases: []string{"PaymentDisputeClosed"}, SubjectFields: []string{"disputeId"},
		Meaning: "The provider has closed a dispute."},
	{Name: PaymentRefundFailed, Version: 1, Direction: Inbound, Producer: ProducerPayments, Aliases: []string{"PaymentRefundFailed"}, SubjectFields: []string{"orderId"}, IDField: "disputeId",
		Meaning: "A refund failed that the provider had accepted; the gateway is asked. Starts a dispute saga."},
	{Name: ShipmentDispatched, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerWarehouse, Aliases: []string{"ShipmentDispatched"},
		Meaning: "The warehouse handed the goods to a carrier."},
	{Name: ShipmentDelivered, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerCarrier, Aliases: []string{"ShipmentDelivered"},
		Meaning: "The carrier delivered the goods. This implies that they were dispatched."},
	{Name: ShipmentLost, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerCarrier, Aliases: []string{"ShipmentLost"},
		Meaning: "The carrier lost the goods."},
	{Name: StockReceived, Version: 1, Direction: Inbound, Producer: ProducerWarehouse, Aliases: []string{"StockReceived"}, SubjectFields: []string{"sku"}, IDField: "receiptId",
		Meaning: "Goods arrived at the warehouse: a receipt in the stock ledger."},

	{Name: RefundRequested, Version: 1, Direction: Inbound, Producer: ProducerShop, Aliases: []string{"RefundRequested"}, SubjectFields: []string{"orderId"}, IDField: "refundId",
		Meaning: "A shop requests a refund of an order. Starts a refund saga."},
	{Name: ReturnRequested, Version: 1, Direction: Inbound, Producer: ProducerShop, Aliases: []string{"ReturnRequested"}, SubjectFields: []string{"orderId"}, IDField: "returnId",
		Meaning: "A shop requests that goods of an order come back. Starts a return saga."},
	{Name: ReturnReceived, Version: 1, Direction: Inbound, Fact: true, Producer: ProducerWarehouse, Aliases: []string{"ReturnReceived"}, SubjectFields: []string{"returnId"},
		Meaning: "The warehouse received goods of a return."},

	{Name: OrderAccepted, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Meaning: "The order is accepted and its saga runs."},
	{Name: InventoryReserved, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Meaning: "Every line is reserved."},
	{Name: InventoryRejected, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"lines"},
		Meaning: "At least one line cannot be reserved."},
	{Name: InventoryReleased, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "No line of the order holds stock or can reserve it again."},
	{Name: InventoryCommitted, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The reserved stock is committed."},
	{Name: PaymentPending, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"expiresAt"},
		Meaning: "The payment waits for its payer."},
	{Name: PaymentAuthorized, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"eventIdentity"},
		Meaning: "The payment is authorized."},
	{Name: PaymentDeclined, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"code", "eventIdentity"},
		Meaning: "The payment is declined."},
	{Name: PaymentVoided, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The payment is void and cannot be authorized again."},
	{Name: PaymentCaptured, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Meaning: "The payment is captured."},
	{Name: PaymentCaptureRefused, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"code"},
		Meaning: "The gateway refused the capture."},
	{Name: OrderConfirmed, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"expiresAt"},
		Meaning: "The warehouse is asked to dispatch the goods."},
	{Name: OrderShipped, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Detail:  []string{"carrier", "trackingNumber", "expiresAt", "eventIdentity"},
		Meaning: "The goods were dispatched; of several parcels, the first one."},
	{Name: OrderFulfillmentWithdrawn, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The warehouse is asked not to dispatch the goods."},
	{Name: OrderSettling, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "The pivot: from now on the order only goes forward."},
	{Name: OrderCompensating, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail", "eventIdentity"},
		Meaning: "The order is compensated: everything that was done is undone."},
	{Name: OrderDelivered, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"eventIdentity"},
		Meaning: "The goods arrived; of several parcels, the last one."},
	{Name: OrderParcelDispatched, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Detail:  []string{"carrier", "trackingNumber", "unmatched", "expiresAt", "eventIdentity"},
		Meaning: "Another parcel of the order was dispatched."},
	{Name: OrderParcelDelivered, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Detail:  []string{"carrier", "trackingNumber", "unmatched", "eventIdentity"},
		Meaning: "A parcel arrived, and others are awaited."},
	{Name: OrderParcelLost, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Detail:  []string{"carrier", "trackingNumber", "reason", "unmatched", "eventIdentity"},
		Meaning: "The carrier lost one of several parcels; a person must decide."},
	{Name: OrderRefundRequested, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "Intervention: the money for goods that did not arrive is refunded."},
	{Name: OrderResendRequested, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note", "expiresAt"},
		Meaning: "Intervention: the warehouse is asked to dispatch goods again that did not arrive."},
	{Name: OrderCompleted, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "Terminal: the order was fulfilled and paid."},
	{Name: OrderRejected, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the order could not be fulfilled; nothing is held."},
	{Name: OrderCancelled, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the order was cancelled on request; nothing is held."},
	{Name: OrderFailed, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"detail"},
		Meaning: "Terminal: a participant did not respond in time; nothing is held."},
	{Name: OrderCancellationRefused, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"reason", "detail"},
		Meaning: "A cancellation came too late."},
	{Name: OrderNeedsAttention, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"error", "attempts", "nextTry"},
		Meaning: "The order needs attention: a step is stuck and is retried, or a person must decide."},
	{Name: OrderAttentionResolved, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "The attention is resolved."},
	{Name: OrderStepRetried, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step is retried now."},
	{Name: OrderStepSkipped, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "Intervention: the order continues without a stuck step."},
	{Name: OrderStepSubstituted, Version: 1, Direction: Published, Producer: ProducerOrderSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step was done by other means."},
	{Name: PaymentRefunded, Version: 1, Direction: Published, Producer: ProducerOrderSaga,
		Meaning: "Money was refunded: in a late stream, a late payment; in the stream of an order, a capture of an order that is compensated, or goods that did not arrive."},

	{Name: DisputeAccepted, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "A dispute of a payment, or a failed refund, is reported and its saga runs."},
	{Name: DisputeSettling, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "The pivot: the dispute stays open until the provider or an operator ends it."},
	{Name: DisputeRefundsBlocked, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "What is left of the payment is reserved: nothing is refunded while the dispute is open."},
	{Name: DisputeClosed, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "The payment provider has closed the dispute."},
	{Name: DisputeRefundsUnblocked, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "Refunds of the payment are possible again, but for what a lost dispute has cost."},
	{Name: DisputeRefundMade, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "The gateway says that the refund did not fail, or its saga has recorded that."},
	{Name: DisputeRefundFailed, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"code"},
		Meaning: "A refund failed that was recorded as made: the money is in the shop's balance again."},
	{Name: DisputeCompensating, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"detail", "eventIdentity"},
		Meaning: "The dispute is not handled: it was cancelled."},
	{Name: DisputeCompleted, Version: 1, Direction: Published, Producer: ProducerDisputeSaga,
		Meaning: "Terminal: the dispute, or the failed refund, is settled."},
	{Name: DisputeRejected, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the dispute was refused."},
	{Name: DisputeCancelled, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the dispute was cancelled on request."},
	{Name: DisputeFailed, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the dispute failed."},
	{Name: DisputeCancellationRefused, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"reason", "detail"},
		Meaning: "A cancellation of the dispute came too late."},
	{Name: DisputeNeedsAttention, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"error", "attempts", "nextTry"},
		Meaning: "The dispute needs attention: it is open, a refund has failed, or a step is stuck."},
	{Name: DisputeAttentionResolved, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"note"},
		Meaning: "The attention of the dispute is resolved."},
	{Name: DisputeStepRetried, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step of the dispute is retried now."},
	{Name: DisputeStepSkipped, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"note"},
		Meaning: "Intervention: the dispute, or the failed refund, costs nothing more, or a stuck step is left out."},
	{Name: DisputeStepSubstituted, Version: 1, Direction: Published, Producer: ProducerDisputeSaga, Detail: []string{"note"},
		Meaning: "Intervention: the payer has got the money by other means."},
	{Name: RefundAccepted, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Meaning: "A refund of an order is accepted and its saga runs."},
	{Name: RefundReserved, Version: 1, Direction: Published, Producer: ProducerRefundSaga,
		Meaning: "The amount of the refund is computed and reserved in the refund ledger."},
	{Name: RefundSettling, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Meaning: "The pivot: from now on the gateway is asked to refund."},
	{Name: RefundPaid, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Meaning: "The gateway has refunded the money."},
	{Name: RefundRefused, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"code", "detail"},
		Meaning: "The refund was refused: by the refund ledger, or by the gateway."},
	{Name: RefundRestocked, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Meaning: "The refunded goods are in stock again."},
	{Name: RefundCompensating, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"detail", "eventIdentity"},
		Meaning: "Nothing is refunded: the reserved amount is released."},
	{Name: RefundReleased, Version: 1, Direction: Published, Producer: ProducerRefundSaga,
		Meaning: "The reserved amount is released and can be refunded by another refund."},
	{Name: RefundCompleted, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Meaning: "Terminal: the money is refunded."},
	{Name: RefundRejected, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the refund was refused; nothing is refunded."},
	{Name: RefundCancelled, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the refund was cancelled on request; nothing is refunded."},
	{Name: RefundFailed, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the refund ledger did not respond in time; nothing is refunded."},
	{Name: RefundCancellationRefused, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"reason", "detail"},
		Meaning: "A cancellation of the refund came too late."},
	{Name: RefundNeedsAttention, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"error", "attempts", "nextTry"},
		Meaning: "The refund needs attention: a step is stuck and is retried, or a person must decide."},
	{Name: RefundAttentionResolved, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"note"},
		Meaning: "The attention of the refund is resolved."},
	{Name: RefundStepRetried, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step of the refund is retried now."},
	{Name: RefundStepSkipped, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"note"},
		Meaning: "Intervention: the refund continues without a stuck step."},
	{Name: RefundStepSubstituted, Version: 1, Direction: Published, Producer: ProducerRefundSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step of the refund was done by other means."},

	{Name: ReturnAccepted, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "A return of goods of an order is accepted and its saga runs."},
	{Name: ReturnAnnounced, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The quantities are reserved: the warehouse may expect the goods."},
	{Name: ReturnSettling, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The pivot: from now on the goods are waited for."},
	{Name: ReturnRefused, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"detail"},
		Meaning: "The return was refused: less was delivered, or can still be returned."},
	{Name: ReturnItemsReceived, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The warehouse received goods of the return."},
	{Name: ReturnExpired, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The time for the goods is over: what was received is refunded and restocked; without any, the return ends."},
	{Name: ReturnAccounted, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The received quantities are final; the others can be returned by another return."},
	{Name: ReturnRefunded, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "What was received is refunded."},
	{Name: ReturnRefundRefused, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"detail"},
		Meaning: "The refund was refused; a person must decide."},
	{Name: ReturnRestocked, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The returned goods are in stock again."},
	{Name: ReturnCompensating, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"detail", "eventIdentity"},
		Meaning: "Nothing comes back: the quantities are released."},
	{Name: ReturnReleased, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "The quantities are released and can be returned by another return."},
	{Name: ReturnCompleted, Version: 1, Direction: Published, Producer: ProducerReturnSaga,
		Meaning: "Terminal: what was received is refunded and restocked, as requested."},
	{Name: ReturnRejected, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the return was refused."},
	{Name: ReturnCancelled, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"detail"},
		Meaning: "Terminal: the return was cancelled on request, before it was announced."},
	{Name: ReturnFailed, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"detail"},
		Meaning: "Terminal: nothing came back in time, or the refund ledger did not respond in time."},
	{Name: ReturnCancellationRefused, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"reason", "detail"},
		Meaning: "A cancellation of the return came too late."},
	{Name: ReturnNeedsAttention, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"error", "attempts", "nextTry"},
		Meaning: "The return needs attention: a step is stuck and is retried, or a person must decide."},
	{Name: ReturnAttentionResolved, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"note"},
		Meaning: "The attention of the return is resolved."},
	{Name: ReturnStepRetried, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step of the return is retried now."},
	{Name: ReturnStepSkipped, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"note"},
		Meaning: "Intervention: the return continues without a stuck step."},
	{Name: ReturnStepSubstituted, Version: 1, Direction: Published, Producer: ProducerReturnSaga, Detail: []string{"note"},
		Meaning: "Intervention: a stuck step of the return was done by other means."},
	{Name: AuditCheckpointSigned, Version: 1, Direction: Published, Producer: ProducerAudit, SubjectFields: []string{"origin"}, Detail: []string{"keyId", "note"},
		Meaning: "A checkpoint of the event log is signed."},

	{Name: StockAdded, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "Goods were received."},
	{Name: StockAdjusted, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "A correction or a count."},
	{Name: StockReserved, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "An order reserved stock."},
	{Name: StockRefused, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved", "reason"},
		Meaning: "An order requested more than was available."},
	{Name: StockFenced, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "A reservation was compensated before it was made and can no longer be made."},
	{Name: StockReleased, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "A reservation was released."},
	{Name: StockCommitted, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "Reserved stock was committed."},
	{Name: StockReturned, Version: 1, Direction: Ledger, Producer: ProducerStock, Detail: []string{"onHand", "reserved"},
		Meaning: "Committed stock was returned."},

	{Name: ChargeAuthorized, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the payment was authorized."},
	{Name: ChargePending, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the payment is pending."},
	{Name: ChargeUnavailable, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the provider was unavailable; nothing was charged."},
	{Name: ChargeRefused, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the payment was refused."},
	{Name: ChargeFenced, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: voided before it was authorized; it can no longer be authorized."},
	{Name: ChargeCaptured, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: the payment was captured."},
	{Name: ChargeCaptureRefused, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the capture was refused."},
	{Name: ChargeCaptureDelayed, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the capture timed out; it takes effect after the next lookup."},
	{Name: ChargeVoided, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: the authorization was voided."},
	{Name: ChargeArrived, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: money arrived after the payment was voided; it must be refunded."},
	{Name: ChargeRefunded, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: captured or arrived money was refunded."},
	{Name: ChargeRefundRefused, Version: 1, Direction: Ledger, Producer: ProducerSimulator, Meaning: "Simulator: a refund was refused."},
	{Name: ChargeRefundDelayed, Version: 1, Direction: Ledger, Producer: ProducerSimulator,
		Meaning: "Simulator: a refund timed out; it takes effect with the next call."},

	{Name: PaymentArrivedLate, Version: 1, Direction: Ledger, Producer: ProducerLateSaga,
		Meaning: "Money arrived after the end of its order; it is refunded."},
	{Name: PaymentNothingArrived, Version: 1, Direction: Ledger, Producer: ProducerLateSaga,
		Meaning: "A payment was reported as successful after the end of its order; the gateway holds no money."},
	{Name: RefundsReserved, Version: 1, Direction: Ledger, Producer: ProducerRefunds,
		Meaning: "Money of a payment is reserved for a refund, so no other refund uses it."},
	{Name: RefundsRefunded, Version: 1, Direction: Ledger, Producer: ProducerRefunds, Meaning: "The gateway has refunded reserved money."},
	{Name: RefundsReleased, Version: 1, Direction: Ledger, Producer: ProducerRefunds,
		Meaning: "Reserved money is not refunded and can be reserved again; the refund can no longer reserve."},
	{Name: RefundsReturnReserved, Version: 1, Direction: Ledger, Producer: ProducerRefunds,
		Meaning: "Quantities of lines are announced by a return, so no other return or refund of lines uses them."},
	{Name: RefundsReturnSettled, Version: 1, Direction: Ledger, Producer: ProducerRefunds,
		Meaning: "The quantities that came back are final; the others can be returned again."},
	{Name: ReturnEventLate, Version: 1, Direction: Ledger, Producer: ProducerReturnSaga,
		Meaning: "Goods of a return arrived that it does not wait for."},
	{Name: EventLate, Version: 1, Direction: Ledger, Producer: ProducerLateSaga, Detail: []string{"detail"},
		Meaning: "An event arrived after the end of its order."},
	{Name: OrderCancellationKept, Version: 1, Direction: Ledger, Producer: ProducerInbox,
		Meaning: "A cancellation arrived before its order; the order is cancelled when it arrives."},

	{Name: ReconcileViolationFound, Version: 1, Direction: Ledger, Producer: ProducerReconcile, Detail: []string{"detail"},
		Meaning: "An invariant is violated; a person must resolve it."},

	{Name: DeadReceived, Version: 1, Direction: Ledger, Producer: ProducerDeadLetters, Detail: []string{"type", "subject"}, Meaning: "A message became a dead letter and is stored."},
	{Name: DeadRetryBegun, Version: 1, Direction: Ledger, Producer: ProducerDeadLetters,
		Meaning: "A message that the broker removed from its queue will be handled once more, alone."},
	{Name: DeadRetried, Version: 1, Direction: Ledger, Producer: ProducerDeadLetters, Meaning: "The message was handled alone, with success."},
	{Name: DeadRetryFailed, Version: 1, Direction: Ledger, Producer: ProducerDeadLetters,
		Meaning: "The message was handled alone and failed again, or the process died; a person must decide."},
	{Name: DeadReplayRequested, Version: 1, Direction: Ledger, Producer: ProducerOperator, Detail: []string{"by", "note"},
		Meaning: "A person has requested the replay of a dead letter."},
	{Name: DeadReplayed, Version: 1, Direction: Ledger, Producer: ProducerOperator, Meaning: "The broker has confirmed the replayed message."},
	{Name: DeadDiscarded, Version: 1, Direction: Ledger, Producer: ProducerOperator, Detail: []string{"by", "note"},
		Meaning: "A person has discarded a dead letter."},
	{Name: AuditCheckpointRecorded, Version: 1, Direction: Ledger, Producer: ProducerAudit, SubjectFields: []string{"origin"},
		Meaning: "The tree of an audit checkpoint. Only what this event has is signed."},
	{Name: UserRegistered, Version: 1, Direction: Inbound, Producer: ProducerUsers, Aliases: []string{"UserRegistered"}, SubjectFields: []string{"customerId", "userId"}, TimeUsed: true,
		Meaning: "A customer has registered or changed the profile. Starts the onboarding, or updates the profile."},
	{Name: CustomerRegistered, Version: 1, Direction: Published, Producer: ProducerCustomers, Detail: []string{"keyId", "sealed"},
		Meaning: "A customer is known; e-mail and name are sealed."},
	{Name: CustomerProfileUpdated, Version: 1, Direction: Published, Producer: ProducerCustomers, Detail: []string{"keyId", "sealed"},
		Meaning: "The profile of the customer has changed; e-mail and name are sealed."},
	{Name: CustomerProfileOutdated, Version: 1, Direction: Published, Producer: ProducerCustomers,
		Meaning: "A profile arrived that is older than the known one; it changes nothing and is not stored."},
	{Name: CustomerOnboarded, Version: 1, Direction: Published, Producer: ProducerCustomers,
		Meaning: "Everything that a registration starts has been started."},
	{Name: CustomerErased, Version: 1, Direction: Published, Producer: ProducerOperator, Detail: []string{"keyId", "by"},
		Meaning: "The key of the personal data of a customer is deleted: all copies of the data are unreadable."},
	{Name: NoticeRequested, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"until"},
		Meaning: "A message to a customer is requested."},
	{Name: NoticeIntended, Version: 1, Direction: Ledger, Producer: ProducerNotices,
		Meaning: "A message will be sent. Without an outcome after this event, it is not sent again."},
	{Name: NoticeSent, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"}, Meaning: "Terminal: the message was accepted."},
	{Name: NoticeRefused, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"}, Meaning: "Terminal: the message was refused permanently."},
	{Name: NoticeNotAccepted, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"},
		Meaning: "The message was certainly not accepted; it is retried."},
	{Name: NoticeUnknown, Version: 1, Direction: Ledger, Producer: ProducerNotices, Detail: []string{"code"},
		Meaning: "Terminal: it is unknown whether the message was accepted, so it is not sent again."},
	{Name: NoticeGivenUp, Version: 1, Direction: Ledger, Producer: ProducerNotices, Meaning: "Terminal: the message was not sent and will not be."},
}
