package reconcile

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/customer"
	"github.com/ordersaga/ordersaga/internal/notice"
)

// folder is a state that is folded from a stream.
type folder[S any] interface {
	Fold(records []event.Record) (S, error)
}

// sagaVisitor folds a stream, and hands the state that it comes to to judge.
type sagaVisitor[S folder[S]] struct {
	*chain
	state S
	// lost tells that the stream does not fold.
	lost  bool
	judge func(ctx context.Context, s S) error
}

func (v *sagaVisitor[S]) record(r event.Record, damaged error) {
	if !v.follows(r, damaged) || v.broken || v.lost {
		return
	}
	next, err := v.state.Fold([]event.Record{r})
	if v.lost = err != nil; v.lost {
		v.found(StreamFold, r.Version, "%v", err)
		return
	}
	v.state = next
}

// end asks about the saga.
func (v *sagaVisitor[S]) end(ctx context.Context) error {
	if v.broken || v.lost {
		return nil
	}
	v.look.work.Go(func() error { return v.judge(ctx, v.state) })
	return ctx.Err()
}

// customerVisitor checks that what a registration starts is started, and that every run came to its end: one that did not
// may have left events unpublished.
func (l *look) customerVisitor(id, stream string) visitor {
	return &sagaVisitor[customer.State]{chain: l.chain(stream), state: customer.State{CustomerID: id},
		judge: func(ctx context.Context, s customer.State) error {
			if l.now.Sub(s.UpdatedAt) <= l.o.Stale {
				return nil
			}
			run, err := l.cfg.Sagas.InspectCustomer(ctx, id)
			switch {
			case err != nil:
				return err
			case run.Found && run.Running, run.Completed && s.Onboarded, !run.Found && s.Onboarded:
				return nil
			}
			l.found(CustomerUnsettled, id, stream, s.Head.Version, "at version %d; %s", s.Head.Version, said(run))
			return nil
		}}
}

// noticeVisitor checks that somebody goes on with a message that is to be sent.
func (l *look) noticeVisitor(id, stream string) visitor {
	subject, _ := notice.SubjectOf(id)
	return &sagaVisitor[notice.State]{chain: l.chain(stream), state: notice.State{Subject: subject},
		judge: func(ctx context.Context, s notice.State) error {
			if s.Ended() || l.now.Sub(s.UpdatedAt) <= l.o.Stale {
				return nil
			}
			run, err := l.cfg.Sagas.InspectNotice(ctx, id)
			if err != nil || run.Found && run.Running {
				return err
			}
			what := "it is to be sent"
			if s.Open() {
				what = "somebody was about to send it"
			}
			l.found(NoticeUnsettled, id, stream, s.Head.Version, "%s at version %d; %s", what, s.Head.Version, said(run))
			return nil
		}}
}

// said is what Temporal has of a saga, for people.
func said(run Run) string {
	if !run.Found {
		return "Temporal has no saga of it"
	}
	return "its newest saga is " + run.Status
}
