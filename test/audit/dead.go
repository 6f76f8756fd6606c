package audit

import "regexp"

// sha256Form is what a hash looks like.
var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// deadFields are the fields that an event about a dead letter may have: none of them is the payload.
var deadFields = map[string]bool{
	"letterId": true, "reason": true, "payloadHash": true, "size": true, "replayOf": true, "replays": true, "attemptId": true,
	"replay": true, "requestId": true, "replacementHash": true, "force": true, "by": true, "note": true, "type": true, "subject": true,
}

// typeForm and idForm are what the type and the subject of a letter's event look like.
var (
	typeForm = regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	idForm   = regexp.MustCompile(`^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,200}$`)
)

// dead checks what was decided about a dead letter: it begins with the letter, every replay was asked for before, at most
// one retry was made, and nothing of the payload is there but its hash.
func (r *Report) dead(id string, stream []Document) {
	if stream[0].Type != "dead.received" {
		r.violate("letter %s begins with %s", id, stream[0].Type)
	}
	asked, retries := map[int64]bool{}, 0
	for _, d := range stream {
		switch d.Type {
		case "dead.retry_begun":
			if retries++; retries > 1 {
				r.violate("letter %s was retried twice", id)
			}
		case "dead.replay_requested":
			asked[number(d.Data, "replay")] = true
		case "dead.replayed":
			if !asked[number(d.Data, "replay")] {
				r.violate("letter %s was replayed without a request", id)
			}
		}
		if !sha256Form.MatchString(text(d.Data, "payloadHash")) || text(d.Data, "letterId") != id {
			r.violate("letter %s: version %d says neither which letter nor which payload it is about", id, d.Version)
		}
		if kind, subject := text(d.Data, "type"), text(d.Data, "subject"); kind != "" && !typeForm.MatchString(kind) || subject != "" && !idForm.MatchString(subject) {
			r.violate("letter %s: version %d has more of its event than type and subject", id, d.Version)
		}
		for _, field := range d.Data {
			if !deadFields[field.Key] {
				r.violate("letter %s: version %d has the field %s", id, d.Version, field.Key)
			}
		}
	}
}
