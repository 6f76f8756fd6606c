package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// algorithmCosignature is the type of witnesses' keys in C2SP signed-note.
const algorithmCosignature = 4

// privatePrefix begins the text of a private key.
const privatePrefix = "PRIVATE+KEY+"

// NewKey returns a new key with a name, which becomes the origin of the log: a private key for AUDIT_SIGNING_KEY and its public key.
func NewKey(name string) (private, public string, err error) {
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '+' }) {
		return "", "", fault.New(fault.Invalid, "a key must have a name without spaces and plus signs, such as shop.example.com/orders")
	}
	private, public, err = note.GenerateKey(rand.Reader, name)
	return private, public, fault.Wrap(err, fault.Invalid, "create key %q", name)
}

// Signer signs checkpoints with one or more keys of one name.
type Signer struct {
	signers []note.Signer
	public  []string
}

// ParseSigner reads private keys, one on each line. All of them sign, the first one is the current key. The error does not contain keys.
func ParseSigner(text string) (Signer, error) {
	var s Signer
	for i, line := range strings.Fields(text) {
		signer, err := note.NewSigner(line)
		var public string
		if err == nil {
			public, err = publicKey(line)
		}
		if err != nil {
			return Signer{}, fault.New(fault.Invalid, "key %d is not a private key of `ordersaga audit key new`", i+1)
		}
		if i > 0 && signer.Name() != s.Origin() {
			return Signer{}, fault.New(fault.Invalid, "key %d has the name %q, and the first one %q: the keys of a log have one name", i+1, signer.Name(), s.Origin())
		}
		s.signers, s.public = append(s.signers, signer), append(s.public, public)
	}
	if len(s.signers) == 0 {
		return Signer{}, fault.New(fault.Invalid, "there is no private key")
	}
	return s, nil
}

// publicKey returns the public key of a valid private key.
func publicKey(private string) (string, error) {
	fields := strings.SplitN(strings.TrimPrefix(private, privatePrefix), "+", 3)
	if len(fields) != 3 {
		return "", fault.New(fault.Invalid, "malformed key")
	}
	seed, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", fault.New(fault.Invalid, "malformed key")
	}
	pair := ed25519.NewKeyFromSeed(seed[1:])
	return note.NewEd25519VerifierKey(fields[0], pair.Public().(ed25519.PublicKey))
}

// Configured reports whether there is a key.
func (s Signer) Configured() bool { return len(s.signers) > 0 }

// Origin is the name of the keys.
func (s Signer) Origin() string { return s.signers[0].Name() }

// KeyID identifies the first key.
func (s Signer) KeyID() string { return keyID(s.signers[0].KeyHash()) }

// Public returns the public keys.
func (s Signer) Public() []string { return s.public }

// Sign returns the signed note of a checkpoint. It is deterministic.
func (s Signer) Sign(c Checkpoint) (string, error) {
	if c.Origin != s.Origin() {
		return "", fault.New(fault.Invalid, "checkpoint %d is of the log %q; the signing key is of %q", c.N, c.Origin, s.Origin())
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, s.signers...)
	return string(signed), fault.Wrap(err, fault.Internal, "sign checkpoint %d", c.N)
}

func keyID(hash uint32) string { return fmt.Sprintf("%08x", hash) }

// Keys verify notes: public keys of a log, current and former ones, and of witnesses.
type Keys struct {
	log, witnesses []note.Verifier
}

// ParseKeys reads public keys, separated by white space. Keys of type 1 (Ed25519) are keys of the log, keys of type 4 (cosignature/v1) are
// witnesses. Errors: Invalid.
func ParseKeys(text string) (Keys, error) {
	var k Keys
	for _, line := range strings.Fields(text) {
		v, err := note.NewVerifier(line)
		if err == nil {
			k.log = append(k.log, v)
			continue
		}
		w, err := parseWitness(line)
		if err != nil {
			return Keys{}, fault.Wrap(err, fault.Invalid, "%q is not a public key", line)
		}
		k.witnesses = append(k.witnesses, w)
	}
	if len(k.log) == 0 {
		return Keys{}, fault.New(fault.Invalid, "there is no public key of the log")
	}
	return k, nil
}

// Opened is a verified note.
type Opened struct {
	Checkpoint
	// KeyIDs are the log's keys that have signed it, and Witnesses the names of the witnesses.
	KeyIDs, Witnesses []string
}

// Open verifies a signed note: at least one key of the log has signed it, and every signature of a known key is right. Unknown signatures are ignored.
// Errors: Malformed; Invalid if a signature is missing or wrong.
func (k Keys) Open(signed string) (Opened, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(slices.Concat(k.log, k.witnesses)...))
	if err != nil {
		return Opened{}, fault.Wrap(err, fault.Invalid, "verify the signature")
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Opened{}, err
	}
	o := Opened{Checkpoint: c}
	for _, s := range n.Sigs {
		same := func(v note.Verifier) bool { return v.Name() == s.Name && v.KeyHash() == s.Hash }
		if slices.ContainsFunc(k.log, same) && s.Name == c.Origin {
			o.KeyIDs = append(o.KeyIDs, keyID(s.Hash))
		} else if slices.ContainsFunc(k.witnesses, same) {
			o.Witnesses = append(o.Witnesses, s.Name)
		}
	}
	if len(o.KeyIDs) == 0 {
		return Opened{}, fault.New(fault.Invalid, "checkpoint %d of %q is not signed by a key of the log", c.N, c.Origin)
	}
	return o, nil
}

// cosigned checks that every witness of k has cosigned a note. Errors: Invalid.
func (k Keys) cosigned(o Opened) error {
	for _, w := range k.witnesses {
		if !slices.Contains(o.Witnesses, w.Name()) {
			return fault.New(fault.Invalid, "checkpoint %d has no cosignature of witness %s", o.N, w.Name())
		}
	}
	return nil
}

// openCosigned is Open of a note that every witness of k must have cosigned.
func (k Keys) openCosigned(signed string) (Opened, error) {
	o, err := k.Open(signed)
	if err == nil {
		err = k.cosigned(o)
	}
	return o, err
}

// witness verifies cosignatures: C2SP tlog-cosignature, cosignature/v1.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func parseWitness(text string) (witness, error) {
	fields := strings.SplitN(text, "+", 3)
	if len(fields) != 3 || fields[0] == "" {
		return witness{}, fault.New(fault.Invalid, "a public key is NAME+ID+BASE64")
	}
	id, err := strconv.ParseUint(fields[1], 16, 32)
	key, err2 := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || err2 != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != algorithmCosignature || id != uint64(noteKeyHash(fields[0], key)) {
		return witness{}, fault.New(fault.Invalid, "its type, ID or key is wrong")
	}
	return witness{fields[0], uint32(id), key[1:]}, nil
}

func noteKeyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(slices.Concat([]byte(name), []byte("\n"), key))
	return binary.BigEndian.Uint32(sum[:])
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }

// Verify implements note.Verifier: a cosignature is a time in seconds and the signature of it and the note.
func (w witness) Verify(msg, sig []byte) bool {
	const timeBytes = 8
	if len(sig) != timeBytes+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	var signed bytes.Buffer
	fmt.Fprintf(&signed, "cosignature/v1\ntime %d\n", at)
	signed.Write(msg)
	return ed25519.Verify(w.key, signed.Bytes(), sig[timeBytes:])
}
