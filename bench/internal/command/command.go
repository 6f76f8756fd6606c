// Package command is what the benchmark's commands have in common: how they start and end, and how they leave their results.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Main runs a command until it is done or interrupted. It exits with 1 after an error, which it prints.
func Main(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Results can be read by programs, as JSON, and by users.
type Results interface {
	Markdown() (string, error)
	SVG() (string, error)
}

// Leave writes name.json, name.md and name.svg into a folder, which it makes, and prints the Markdown and where they are.
func Leave(folder, name string, r Results) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write %s.json: %w", name, err)
	}
	markdown, err := r.Markdown()
	if err != nil {
		return fmt.Errorf("write %s.md: %w", name, err)
	}
	svg, err := r.SVG()
	if err != nil {
		return fmt.Errorf("plot %s.svg: %w", name, err)
	}
	for extension, text := range map[string]string{"json": string(data) + "\n", "md": markdown, "svg": svg} {
		if err := os.WriteFile(filepath.Join(folder, name+"."+extension), []byte(text), 0o644); err != nil {
			return err
		}
	}
	fmt.Println(markdown)
	fmt.Fprintf(os.Stderr, "written to %s: %s.json, %s.md, %s.svg\n", folder, name, name, name)
	return nil
}
