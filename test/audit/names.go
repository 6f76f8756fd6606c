package audit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// In names, every byte of an ID but these is percent-encoded, in capital letters.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// nameOf is an ID as part of a name.
func nameOf(id string) string {
	var name strings.Builder
	for i := range len(id) {
		if strings.IndexByte(plain, id[i]) >= 0 {
			name.WriteByte(id[i])
		} else {
			fmt.Fprintf(&name, "%%%02X", id[i])
		}
	}
	return name.String()
}

// idIn is the ID in a name. A name that is not written as it must be is a violation.
func (r *Report) idIn(name string) string {
	var id []byte
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' && i+2 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+3], 16, 8); err == nil {
				c, i = byte(n), i+2
			}
		}
		id = append(id, c)
	}
	if nameOf(string(id)) != name {
		r.violate("%q is not how an ID is written in a name", name)
	}
	return string(id)
}

// of is the stream of an order of a kind.
func (r *Report) of(prefix, id string) []Document { return r.Streams[prefix+nameOf(id)] }

// Order is the stream of an order.
func (r *Report) Order(id string) []Document { return r.of("order-", id) }

// oldForm is what every ID had to look like once. Such IDs keep their keys.
var oldForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// keyOf is the key of a step at a participant: <id>/<step>, or a UUID (RFC 9562, version 5) for IDs of any other form.
func keyOf(id, step string) string {
	if oldForm.MatchString(id) {
		return id + "/" + step
	}
	namespace := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://ordersaga.dev/ns"))
	return uuid.NewSHA1(namespace, []byte("key\x00"+nameOf(id)+"\x00"+step+"\x00")).String()
}
