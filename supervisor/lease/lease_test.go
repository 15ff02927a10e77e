package lease

import (
	"testing"
	"time"

	"cofferdam/supervisor/plan"
)

var start = time.Unix(1_800_000_000, 0)

func after(milliseconds int64) time.Time {
	return start.Add(time.Duration(milliseconds) * time.Millisecond)
}

func wanted(change func(*plan.Lease)) plan.Lease {
	lease := plan.Lease{LifetimeMs: 10_000, IdleTimeoutMs: 3000, OwnerGraceMs: 1000}
	change(&lease)
	return lease
}

func expect(t *testing.T, l *Lease, at int64, reason Reason) {
	t.Helper()
	got, again := l.Over(after(at))
	if got != reason {
		t.Fatalf("after %d ms: %q instead of %q", at, got, reason)
	}
	if got == "" && !again.After(after(at)) {
		t.Fatalf("after %d ms it asks to look again at %v, which is not later", at, again)
	}
}

func TestOwnerMustComeWithinTheGrace(t *testing.T) {
	l := New(wanted(func(*plan.Lease) {}), start)
	expect(t, l, 999, "")
	expect(t, l, 1000, OwnerGone)
	l.Own()
	expect(t, l, 1000, "")
}

func TestMachineEndsWithItsLastOwner(t *testing.T) {
	l := New(wanted(func(*plan.Lease) {}), start)
	l.Own()
	l.Own()
	l.Disown()
	expect(t, l, 500, "")
	l.Disown()
	expect(t, l, 500, OwnerGone)
}

func TestDetachedMachineNeedsNoOwner(t *testing.T) {
	l := New(wanted(func(p *plan.Lease) { p.Detached = true; p.IdleTimeoutMs = 0 }), start)
	l.Own()
	l.Disown()
	expect(t, l, 9999, "")
	expect(t, l, 10_000, Lifetime)
}

func TestMachineIsIdleOnlyWhenNobodyUsesIt(t *testing.T) {
	l := New(wanted(func(p *plan.Lease) { p.Detached = true }), start)
	l.Busy()
	l.Busy()
	expect(t, l, 8000, "")
	l.Rest(after(8000))
	expect(t, l, 9999, "")
	l.Extend(10*time.Second, after(9000))
	l.Rest(after(9000))
	expect(t, l, 11_999, "")
	expect(t, l, 12_000, Idle)
}

func TestLifetimeCanBeMovedBothWays(t *testing.T) {
	l := New(wanted(func(p *plan.Lease) { p.Detached = true; p.IdleTimeoutMs = 0 }), start)
	l.Extend(60*time.Second, after(9000))
	expect(t, l, 68_999, "")
	l.Extend(0, after(20_000))
	expect(t, l, 20_000, Lifetime)
}
