package participantcheck

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// oldest is more than the tolerated difference of a timestamp.
const oldest = 6 * time.Minute

func needsSecret(cfg Config) string {
	if cfg.Secret == "" {
		return "no secret is set"
	}
	return ""
}

// rulesOf returns the rules for a kind of participant, simple ones first: the first rule that fails names the fault best.
func rulesOf(s Service) []rule {
	own := inventoryRules
	if s == Payment {
		own = paymentRules
	}
	return slices.Concat(plainRules(s), own, lastRules)
}

// plainRules are about requests as such, for both kinds of participants.
func plainRules(s Service) []rule {
	data := rule{
		name: "test-data", first: true, play: playTestData,
		contract: "A reservation of goods that are in stock is done; one of an unknown SKU is refused with reason unknown_sku.",
		fix: fmt.Sprintf("Check the test data: --sku must name a SKU of which %d are available, --unknown-sku one that the service does not know. "+
			"If they are right, the service answers plain requests wrongly: compare its answer with the contract.", Stock),
	}
	if s == Payment {
		data.contract = "An authorization is done, with a paymentId, or refused, with the reason of the provider."
		data.fix = "Check the test data: --method must be approved, --refused-method refused. If they are right, the service answers plain requests wrongly: " +
			"compare its answer with the contract."
	}
	return []rule{
		{
			name: "traits", play: playTraits,
			contract: "GET /traits describes the service: its name, contract 1, and what it provides.",
			fix:      `Answer GET /traits with 200, Content-Type application/json, such as {"name": "acme", "contract": 1, "provides": ["` + string(s) + `"]}.`,
		},
		data,
		{
			name: "look-up", play: playLookup,
			contract: `A look-up changes nothing. What was never requested has the state "absent", with status 200; afterwards the look-up returns what was recorded.`,
			fix: `Answer a look-up of an unknown key with 200 {"state": "absent"}, not with 404, which may come from a proxy and proves nothing. Read it from where the ` +
				"effect is recorded, not from a cache or a replica, and write nothing.",
		},
		{
			name: "signature", needs: needsSecret, play: playSignature,
			contract: "A request without a correct signature of webhook-id, webhook-timestamp and body answers 401 and has no effect.",
			fix: "Verify webhook-signature before anything else, over the bytes of the body as they were received, not over JSON that was parsed and written again. " +
				"The libraries of Standard Webhooks do it. Compare in constant time.",
		},
		{
			name: "signature-time", needs: needsSecret, play: playSignatureTime,
			contract: "A webhook-timestamp that differs by more than 5 minutes answers 401.",
			fix:      "Compare webhook-timestamp, seconds since 1970, with the clock, in both directions, and keep the clock synchronized.",
		},
		{
			name: "signature-id", needs: needsSecret, play: playSignatureID,
			contract: "A webhook-id that is not that of the received operation and keys answers 401.",
			fix: "The signature covers webhook-id, not the path. Build <operationId>/<key> from the route and the keys that you serve, and refuse the request if " +
				"webhook-id differs: otherwise a recorded request is valid on every other path.",
		},
		{
			name: "signature-list", needs: needsSecret, play: playSignatureList,
			contract: "webhook-signature may have several signatures, separated by spaces; one that matches is enough.",
			fix:      "Split webhook-signature at spaces and accept the request if one of the parts matches; ignore other versions. Without that, a secret cannot be replaced.",
		},
		{
			name: "unknown-fields", play: playUnknownFields,
			contract: "A service ignores fields that it does not know: fields may be added.",
			fix: "Do not reject unknown fields (additionalProperties, whitelists of validators, strict decoders), and compare content by the documented fields only, " +
				"not by a hash of the body.",
		},
		{
			name: "keys", play: playKeys,
			contract: "Keys are text of up to 100 characters from A-Z a-z 0-9 _ -, compared as they are. Today they are UUIDs.",
			fix:      "Store keys in a column of text of at least 100 characters with a binary (case-sensitive) collation; do not parse them as UUIDs.",
		},
		{
			name: "incomplete", play: playIncomplete,
			contract: "Only a whole request has an effect.",
			fix:      "Read the body to its end, as long as Content-Length says, and parse it, before anything is decided or stored.",
		},
	}
}

// lastRules are for both kinds of participants; they need what the others have checked.
var lastRules = []rule{
	{
		name: "ids", play: playIDs,
		contract: "IDs in the body are opaque: up to 200 bytes of printable UTF-8, compared byte by byte.",
		fix: "Store IDs as they are in the JSON string, in columns for 200 bytes of UTF-8 with a binary collation. Do not trim, decode, escape, lower-case or " +
			"normalize them.",
	},
	{
		name: "abandoned", play: playAbandoned,
		contract: "A request whose connection was closed before the answer may have been decided; the repeated request finds that, and has no second effect.",
		fix: "Record the effect and its key in one transaction that does not depend on the client's connection: either both are stored or none. A handler " +
			"that is cancelled when its client is gone must roll back everything.",
	},
}

func playTraits(p *play) {
	a := p.do("read the traits", "traits", request{op: describe})
	p.expect("read the traits", slices.Contains(a.body.Provides, string(p.cfg.Service)), "provides contains %q", p.cfg.Service)
}

func playTestData(p *play) {
	defer p.cleanup()
	if p.cfg.Service == Payment {
		p.do("authorize with the approved method", "done", p.payment(p.cfg.Method).do())
		p.do("authorize with the refused method", "refused", p.payment(p.cfg.RefusedMethod).do())
		return
	}
	p.do("reserve the SKU in stock", "done", p.new(Stock).do())
	a := p.do("reserve the unknown SKU", "refused", p.reservation(line{SKU: p.cfg.UnknownSKU, Quantity: 1}).do())
	p.expect("reserve the unknown SKU", a.body.Reason == "unknown_sku", `"reason": "unknown_sku"`)
}

// forged returns a request with headers of its own.
func forged(r request, special string, forge func(h http.Header, raw []byte)) request {
	raw, _ := r.raw() // the client reports the error
	r.special, r.forge = special, func(h http.Header) { forge(h, raw) }
	return r
}

func playSignature(p *play) {
	defer p.cleanup()
	s := p.new(1)
	for _, r := range []request{
		forged(s.do(), "not signed", func(h http.Header, _ []byte) {
			for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
				h.Del(name)
			}
		}),
		forged(s.do(), "signed with another secret", func(h http.Header, raw []byte) {
			h.Set("webhook-signature", signature([]byte("another secret of 32 bytes, wrong"), h.Get("webhook-id"), h.Get("webhook-timestamp"), raw))
		}),
		forged(s.do(), "signature of another body", func(h http.Header, raw []byte) {
			h.Set("webhook-signature", signature(p.client.secret, h.Get("webhook-id"), h.Get("webhook-timestamp"), append(raw, ' ')))
		}),
		forged(s.do(), "signature is no base64", func(h http.Header, _ []byte) { h.Set("webhook-signature", "v1,?") }),
	} {
		p.status("a request that is "+r.special, http.StatusUnauthorized, r)
	}
	p.do("look up: refused requests have no effect", "absent", s.find())
	p.status("a look-up that is not signed", http.StatusUnauthorized, forged(s.find(), "not signed", func(h http.Header, _ []byte) { h.Del("webhook-signature") }))
}

func playSignatureTime(p *play) {
	defer p.cleanup()
	s := p.new(1)
	for special, at := range map[string]time.Time{"6 minutes old": p.client.now().Add(-oldest), "6 minutes ahead": p.client.now().Add(oldest)} {
		p.status("a correct signature that is "+special, http.StatusUnauthorized, forged(s.do(), special, func(h http.Header, raw []byte) {
			p.client.sign(h, s.do().id(), at, raw)
		}))
	}
	p.do("look up: refused requests have no effect", "absent", s.find())
}

func playSignatureID(p *play) {
	defer p.cleanup()
	s, other := p.new(1), p.new(1)
	for special, id := range map[string]string{"webhook-id of another key": other.do().id(), "webhook-id of another operation": s.undo().id()} {
		p.status("a correct signature with the "+special, http.StatusUnauthorized, forged(s.do(), special, func(h http.Header, raw []byte) {
			p.client.sign(h, id, p.client.now(), raw)
		}))
	}
	p.do("look up: refused requests have no effect", "absent", s.find())
}

func playSignatureList(p *play) {
	defer p.cleanup()
	wrong := signature([]byte("the secret that is replaced, 32 bytes"), "x", "1", nil)
	for special, prefix := range map[string]string{"two signatures, the second is right": wrong, "a signature of another version, and a right one": "v2,AAAA"} {
		p.do(special, "done", forged(p.new(1).do(), special, func(h http.Header, _ []byte) {
			h.Set("webhook-signature", prefix+" "+h.Get("webhook-signature"))
		}))
	}
}

func playLookup(p *play) {
	defer p.cleanup()
	s := p.new(1)
	for range 2 {
		p.do("look up what was never requested", "absent", s.find())
	}
	p.do("request it after its look-up", "done", s.do())
	for range 2 {
		p.do("look it up", s.held(), s.find())
	}
}

func playUnknownFields(p *play) {
	defer p.cleanup()
	s := p.new(1)
	p.do("a request with an unknown field", "done", s.with("unknownField", map[string]any{"a": []int{1}}).do())
	p.do("the same request without it", "done", s.do())
	p.do("undo with an unknown field", "undone", s.with("anotherField", true).undo())
}

func playKeys(p *play) {
	defer p.cleanup()
	long := strings.Repeat("aB9_-", 20)
	lower := p.keyed(p.new(1), "check_"+p.new(1).key+long[:100-len("check_")-36-1]+"a")
	upper := p.keyed(p.new(1), lower.key[:99]+"A")
	p.do("a key of 100 characters", "done", lower.do())
	p.do("look up the key with another case", "absent", upper.find())
	p.do("a key that differs in case only", "done", upper.do())
	p.do("undo the first one", "undone", lower.undo())
	p.do("look up the second one", upper.held(), upper.find())
}

func playIDs(p *play) {
	defer p.cleanup()
	s := p.new(1)
	// The letters with accents are one code point each; the parts after % are not escaped.
	id := "Shop/1 é%2F+ü&#?=\"\\_" + s.key
	s = s.with("orderId", id)
	p.do("an order ID with special characters", "done", s.do())
	p.do("the same request again", "done", s.do())
	for what, other := range map[string]string{
		"decoded": strings.ReplaceAll(id, "%2F", "/"), "escaped": strings.ReplaceAll(id, "%2F", "%252F"), "in lower case": strings.ToLower(id),
		"with decomposed letters": strings.ReplaceAll(id, "é", "e\u0301"), "with + for a space": strings.Replace(id, " ", "+", 1),
	} {
		p.do("another order ID with the same key: the first one "+what, "conflict", s.with("orderId", other).do())
	}
	longest := p.new(1)
	longest = longest.with("orderId", longest.key+strings.Repeat("漢", (200-len(longest.key))/3))
	p.do("an order ID of 198 bytes", "done", longest.do())
}

func playIncomplete(p *play) {
	defer p.cleanup()
	s := p.new(1)
	half := s.do()
	half.special, half.incomplete = "the connection is closed in the middle of the body", true
	p.broken(half)
	malformed := s.do()
	raw, _ := malformed.raw()
	malformed.special, malformed.body = "not JSON", string(raw[:len(raw)-1])
	a := p.broken(malformed)
	p.expect("a body that is not JSON", a.Status != http.StatusOK, "another status than 200")
	p.do("look up: neither has an effect", "absent", s.find())
	p.do("the whole request", "done", s.do())
}

func playAbandoned(p *play) {
	defer p.cleanup()
	before, known := p.available()
	for range rounds {
		s := p.new(1)
		abandoned := s.do()
		abandoned.special, abandoned.abandoned = "the connection is closed before the answer", true
		p.broken(abandoned)
		p.do("the same request again", "done", s.do())
		p.do("look it up", s.held(), s.find())
	}
	p.took("each is reserved once", before, known, rounds)
}
