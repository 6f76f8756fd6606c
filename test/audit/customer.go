package audit

// profileFields are what a customer's events may hold, and by for an erasure. Anything else might be personal data.
var profileFields = map[string]bool{"customerId": true, "occurredAt": true, "keyId": true, "sealed": true, "welcome": true}

// customer checks that a customer's stream begins with the registration, and that it contains no plain personal data.
func (r *Report) customer(id string, stream []Document) {
	for i, d := range stream {
		if (i == 0) != (d.Type == "customer.registered") {
			r.violate("version %d of customer %s is %s", d.Version, id, d.Type)
		}
		if text(d.Data, "customerId") != id || d.Subject != id {
			r.violate("version %d of customer %s is about another customer", d.Version, id)
		}
		for _, field := range d.Data {
			if !profileFields[field.Key] && (d.Type != "customer.erased" || field.Key != "by") {
				r.violate("version %d of customer %s holds the field %q", d.Version, id, field.Key)
			}
		}
	}
}

// noticeEnds are the events after which nothing is sent.
var noticeEnds = map[string]bool{
	"notice.sent": true, "notice.refused": true, "notice.unknown": true, "notice.given_up": true,
}

// notice checks that a message was never sent while the outcome of the previous attempt was unknown, nor after its end. It
// notes what has not ended.
func (r *Report) notice(id string, stream []Document) {
	if stream[0].Type != "notice.requested" {
		r.violate("message %s begins with %s", id, stream[0].Type)
	}
	open, ended, attempts := false, false, int64(0)
	for _, d := range stream {
		if ended {
			r.violate("message %s goes on after its end with %s", id, d.Type)
		}
		ended = noticeEnds[d.Type]
		switch d.Type {
		case "notice.requested":
		case "notice.intended":
			if attempts++; open || number(d.Data, "attempt") != attempts {
				r.violate("message %s was to be sent again at version %d although the outcome of the previous attempt was unknown", id, d.Version)
			}
			open = true
		case "notice.given_up":
			if open {
				r.violate("message %s was given up, and may have been sent", id)
			}
		default:
			if !open || number(d.Data, "attempt") != attempts {
				r.violate("message %s has an outcome at version %d that belongs to no attempt", id, d.Version)
			}
			open = false
		}
	}
	if !ended {
		r.Notices = append(r.Notices, id)
	}
}
