package serve

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cofferdam/guest/child"
	"cofferdam/guest/settings"
)

const maxSetupBytes = 1 << 20

// RegisterBasics adds health, environment, metrics, and what the host alone may call.
func RegisterBasics(parts *Parts, holder *settings.Holder, table *child.Table) {
	parts.Envd.HandleFunc("GET /health", func(response http.ResponseWriter, _ *http.Request) {
		response.WriteHeader(http.StatusNoContent)
	})
	parts.Envd.HandleFunc("GET /envs", func(response http.ResponseWriter, _ *http.Request) {
		envs := holder.Get().Envs
		if envs == nil {
			envs = map[string]string{}
		}
		answer(response, envs)
	})
	meter := &cpuMeter{}
	meter.usedPercent()
	parts.Envd.HandleFunc("GET /metrics", func(response http.ResponseWriter, _ *http.Request) {
		answer(response, metrics(holder, meter))
	})
	parts.HostOnly.HandleFunc("POST /init", func(response http.ResponseWriter, request *http.Request) {
		raw, err := io.ReadAll(io.LimitReader(request.Body, maxSetupBytes))
		if err != nil {
			Fail(response, http.StatusBadRequest, "the set-up could not be read")
			return
		}
		merged := *holder.Get()
		if err := json.Unmarshal(raw, &merged); err != nil {
			Fail(response, http.StatusBadRequest, "setup: "+err.Error())
			return
		}
		holder.Set(&merged)
		response.WriteHeader(http.StatusNoContent)
	})
	parts.HostOnly.HandleFunc("POST /freeze", func(response http.ResponseWriter, _ *http.Request) {
		table.Each(func(c *child.Child) { c.SignalTree(syscall.SIGSTOP) })
		response.WriteHeader(http.StatusNoContent)
	})
	parts.HostOnly.HandleFunc("POST /unfreeze", func(response http.ResponseWriter, _ *http.Request) {
		table.Each(func(c *child.Child) { c.SignalTree(syscall.SIGCONT) })
		response.WriteHeader(http.StatusNoContent)
	})
}

func answer(response http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		Fail(response, http.StatusInternalServerError, "the answer could not be written")
		return
	}
	response.Header().Set("Content-Type", "application/json")
	response.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = response.Write(body)
}

type metricsResponse struct {
	Timestamp      int64   `json:"ts"`
	CPUCount       int     `json:"cpu_count"`
	CPUUsedPercent float64 `json:"cpu_used_pct"`
	MemoryTotal    uint64  `json:"mem_total"`
	MemoryUsed     uint64  `json:"mem_used"`
	MemoryCache    uint64  `json:"mem_cache"`
	DiskUsed       uint64  `json:"disk_used"`
	DiskTotal      uint64  `json:"disk_total"`
}

func metrics(holder *settings.Holder, meter *cpuMeter) metricsResponse {
	now := metricsResponse{Timestamp: time.Now().Unix(), CPUCount: runtime.NumCPU(), CPUUsedPercent: meter.usedPercent()}
	memory := keyedNumbers("/proc/meminfo")
	now.MemoryTotal = memory["MemTotal"] << 10
	if limit := uint64(holder.Get().MemoryMiB) << 20; limit > 0 && limit < now.MemoryTotal {
		now.MemoryTotal = limit
	}
	now.MemoryCache = memory["Cached"] << 10
	if total, available := memory["MemTotal"], memory["MemAvailable"]; total > available {
		now.MemoryUsed = min((total-available)<<10, now.MemoryTotal)
	}
	var disk syscall.Statfs_t
	if syscall.Statfs("/", &disk) == nil {
		size := uint64(disk.Bsize)
		now.DiskTotal = disk.Blocks * size
		now.DiskUsed = (disk.Blocks - disk.Bfree) * size
	}
	return now
}

func keyedNumbers(path string) map[string]uint64 {
	found := map[string]uint64{}
	raw, err := os.ReadFile(path)
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(raw)) {
		key, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			continue
		}
		if number, err := strconv.ParseUint(fields[0], 10, 64); err == nil {
			found[key] = number
		}
	}
	return found
}

// cpuMeter measures between two questions.
type cpuMeter struct {
	mutex       sync.Mutex
	busy, total uint64
	last        float64
}

func (m *cpuMeter) usedPercent() float64 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	var busy, total uint64
	for i, field := range fields {
		number, err := strconv.ParseUint(field, 10, 64)
		if i == 0 || err != nil {
			continue
		}
		total += number
		if i != 4 && i != 5 {
			busy += number
		}
	}
	if total > m.total && busy >= m.busy {
		m.last = 100 * float64(busy-m.busy) / float64(total-m.total)
	}
	m.busy, m.total = busy, total
	return m.last
}
