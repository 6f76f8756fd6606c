package notify

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	text "text/template"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// builtIn has the built-in templates.
//
//go:embed templates/*.tmpl
var builtIn embed.FS

// maxTemplate bounds the size of a template file.
const maxTemplate = 1 << 20

// Facts are the data for templates.
type Facts struct {
	// Name is the name of the customer; it may be empty. Templates get it without links, see Salutation.
	Name string
	// OrderID and the following fields are empty for a welcome message.
	OrderID string
	Lines   []Item
	// Total is a formatted amount with its currency.
	Total string
	// Reason is why an order did not complete, such as out_of_stock. Why is its explanation.
	Reason, Why string
}

// Item is a line of an order.
type Item struct {
	SKU      string
	Quantity int64
	// Amount is the formatted price of the line.
	Amount string
}

// Templates are the templates of all kinds of messages. They are safe for concurrent use.
type Templates struct {
	texts map[string]*text.Template
	htmls map[string]*template.Template
}

// LoadTemplates parses the templates of kinds: <kind>.txt.tmpl, which defines "subject" and "body", and <kind>.html.tmpl, which is optional. A
// file in the folder replaces the built-in one of the same name; folder may be empty. Each template is executed with sample data. The error has
// all problems.
func LoadTemplates(folder string, kinds []string) (*Templates, error) {
	t := &Templates{texts: make(map[string]*text.Template), htmls: make(map[string]*template.Template)}
	var wrong []error
	for _, kind := range kinds {
		wrong = append(wrong, t.load(folder, kind))
	}
	return t, errors.Join(wrong...)
}

func (t *Templates) load(folder, kind string) error {
	plain, err := source(folder, kind+".txt.tmpl")
	if err != nil {
		return err
	}
	if t.texts[kind], err = text.New(kind).Option("missingkey=error").Parse(plain); err != nil {
		return fmt.Errorf("template %s.txt.tmpl: %w", kind, err)
	}
	html, err := source(folder, kind+".html.tmpl")
	if err == nil {
		if t.htmls[kind], err = template.New(kind).Parse(html); err != nil {
			return fmt.Errorf("template %s.html.tmpl: %w", kind, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = t.Render(kind, Facts{Name: "Ada", OrderID: "42", Lines: []Item{{"tea", 2, "9.00 EUR"}}, Total: "9.00 EUR", Reason: "requested", Why: "it was cancelled"})
	return err
}

// source reads a template from the folder, or the built-in one.
func source(folder, name string) (string, error) {
	if folder != "" {
		info, err := os.Stat(path.Join(folder, name))
		switch {
		case err == nil && info.Size() > maxTemplate:
			return "", fmt.Errorf("template %s has more than %d bytes", name, maxTemplate)
		case err == nil:
			raw, err := os.ReadFile(path.Join(folder, name))
			return string(raw), err
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	raw, err := builtIn.ReadFile("templates/" + name)
	return string(raw), err
}

// Render returns a message. The subject is one line; values are escaped in HTML, and a name with a link is omitted. The error does not quote the
// facts.
func (t *Templates) Render(kind string, f Facts) (Message, error) {
	m := Message{Kind: kind}
	f.Name = Salutation(f.Name)
	plain, ok := t.texts[kind]
	if !ok {
		return m, fault.New(fault.Invalid, "there is no template for %q", kind)
	}
	var subject, body, html bytes.Buffer
	if plain.ExecuteTemplate(&subject, "subject", f) != nil || plain.ExecuteTemplate(&body, "body", f) != nil {
		return m, fault.New(fault.Invalid, "template %s.txt.tmpl: subject or body is missing or cannot be executed", kind)
	}
	m.Subject, m.Text = Line(subject.String()), body.String()
	if m.Subject == "" {
		return m, fault.New(fault.Invalid, "template %s.txt.tmpl: the subject is empty", kind)
	}
	if page, ok := t.htmls[kind]; ok {
		if page.Execute(&html, f) != nil {
			return m, fault.New(fault.Invalid, "template %s.html.tmpl cannot be executed", kind)
		}
		m.HTML = html.String()
	}
	return m, nil
}
