package mongo

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// Letters contain what their senders wrote: personal data. Sealed letters have properties, headers and body encrypted with a key of each letter. Lists
// do not open them: they show what is in other fields.

// What is sealed in a letter; see sealed.Cipher.
const (
	sealedProperties = "properties"
	sealedHeaders    = "headers"
	sealedBody       = "body"
)

// SealWith returns the store, which opens sealed letters with master keys, and seals new ones if one of these is active.
func (l *Letters) SealWith(master sealed.Wrapper) *Letters {
	l.box, l.seals = sealed.NewBox(sealed.Wrapped{Keys: l.keys, By: master}), master.Active() != ""
	return l
}

// seal seals a letter.
func (l *Letters) seal(ctx context.Context, d *letter) error {
	if !l.seals {
		return nil
	}
	c, err := l.box.Sealer(ctx, d.ID)
	if err != nil {
		return err
	}
	d.KeyID = c.KeyID
	d.Properties = base64.StdEncoding.EncodeToString(c.Seal(sealedProperties, []byte(d.Properties)))
	d.Headers = base64.StdEncoding.EncodeToString(c.Seal(sealedHeaders, []byte(d.Headers)))
	if d.Parts == 0 {
		d.Body = c.Seal(sealedBody, d.Body)
	}
	return nil
}

// open opens a letter. Errors: NotFound when its key was erased, Unavailable, Corrupt.
func (l *Letters) open(ctx context.Context, d *letter) error {
	if d.KeyID == "" {
		return nil
	}
	c, err := l.opener(ctx, d.ID, d.KeyID)
	if err != nil {
		return err
	}
	for _, text := range []struct {
		purpose string
		field   *string
	}{{sealedProperties, &d.Properties}, {sealedHeaders, &d.Headers}} {
		raw, err := base64.StdEncoding.DecodeString(*text.field)
		if err == nil {
			raw, err = c.Open(text.purpose, raw)
		}
		if err != nil {
			return fault.Wrap(err, fault.Corrupt, "open the %s of dead letter %s", text.purpose, d.ID)
		}
		*text.field = string(raw)
	}
	if d.Parts == 0 {
		if d.Body, err = c.Open(sealedBody, d.Body); err != nil {
			return fault.Wrap(err, fault.Corrupt, "open the body of dead letter %s", d.ID)
		}
	}
	d.KeyID = ""
	return nil
}

func (l *Letters) sealPart(ctx context.Context, p *part) error {
	if !l.seals {
		return nil
	}
	c, err := l.box.Sealer(ctx, p.Letter)
	if err != nil {
		return err
	}
	p.KeyID, p.Body = c.KeyID, c.Seal(p.ID, p.Body)
	return nil
}

func (l *Letters) openPart(ctx context.Context, p *part) error {
	if p.KeyID == "" {
		return nil
	}
	c, err := l.opener(ctx, p.Letter, p.KeyID)
	if err != nil {
		return err
	}
	p.Body, err = c.Open(p.ID, p.Body)
	return fault.Wrap(err, fault.Corrupt, "open part %s", p.ID)
}

func (l *Letters) opener(ctx context.Context, id, keyID string) (sealed.Cipher, error) {
	if l.box == nil {
		return sealed.Cipher{}, fault.New(fault.Unavailable, "dead letter %s is sealed", id)
	}
	c, err := l.box.Opener(ctx, id, keyID)
	if errors.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "the content of dead letter %s was erased", id)
	}
	return c, err
}
