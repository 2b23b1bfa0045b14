package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Progress is what a learner has done so far. It holds no time of day: the
// tool reads no clock to teach.
type Progress struct {
	Version int                 `json:"version"`
	Cases   map[string]Attempts `json:"cases"`
	Labs    map[string]string   `json:"labs"`          // started or done
	LabDir  string              `json:"lab_directory"` // where the last lab was laid out
	Exam    *Sitting            `json:"exam,omitempty"`
	Exams   int                 `json:"exams_taken"`

	path string
}

// Attempts at one case.
type Attempts struct {
	Tries int  `json:"tries"`
	Right bool `json:"right"` // the last answer was
	First bool `json:"first"` // the first answer was
}

// progressVersion is the layout of the file.
const progressVersion = 1

// StatePath is where progress is kept: below $XDG_STATE_HOME, else the usual
// place for a program's state on this system. env is os.Getenv.
func StatePath(env func(string) string) (string, error) {
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sandtable", "learn.json"), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", err
		}
		return filepath.Join(dir, "sandtable", "learn.json"), nil
	}
	home := env("HOME")
	if home == "" {
		return "", errors.New("there is no home directory to keep progress in; name a file with --progress")
	}
	return filepath.Join(home, ".local", "state", "sandtable", "learn.json"), nil
}

// LoadProgress reads the file. A missing one is a fresh start. A damaged one is
// kept aside under another name and a new one begun; notice then says so, once.
func LoadProgress(path string) (p *Progress, notice string, err error) {
	p = Unkept()
	p.path = path
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, "", nil
	case err != nil:
		return nil, "", err
	case st.IsDir():
		return nil, "", fmt.Errorf("%s is a directory; progress is kept in a file", path)
	}
	why := ""
	if st.Size() > 4<<20 {
		why = fmt.Sprintf("it has %d bytes", st.Size())
	} else {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		q := &Progress{}
		switch err := json.Unmarshal(data, q); {
		case err != nil:
			why = err.Error()
		case q.Version != progressVersion:
			why = fmt.Sprintf("it is of version %d, this tool writes %d", q.Version, progressVersion)
		default:
			if q.Cases == nil {
				q.Cases = map[string]Attempts{}
			}
			if q.Labs == nil {
				q.Labs = map[string]string{}
			}
			q.path = path
			return q, "", nil
		}
	}
	aside := ""
	for i := 1; ; i++ {
		aside = fmt.Sprintf("%s.damaged-%d", path, i)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err := os.Rename(path, aside); err != nil {
		return nil, "", err
	}
	return p, fmt.Sprintf("Your progress could not be read (%s). It was kept as %s and a new one begun.", why, aside), nil
}

// Unkept is progress of this session alone: saving it is an error.
func Unkept() *Progress {
	return &Progress{Version: progressVersion, Cases: map[string]Attempts{}, Labs: map[string]string{}}
}

// Save writes progress; a crash leaves the old file or the new one.
func (p *Progress) Save() error {
	if p.path == "" {
		return errors.New("there is no file to keep it in")
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(p.path), ".learn-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), p.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Reset forgets everything; the file is removed.
func (p *Progress) Reset() error {
	if p.path == "" {
		return errors.New("there is no file that could be read")
	}
	err := os.Remove(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Note records an answer to a case.
func (p *Progress) Note(id string, right bool) {
	a := p.Cases[id]
	if a.Tries == 0 {
		a.First = right
	}
	a.Tries++
	a.Right = right
	p.Cases[id] = a
}

// State of a case in one word: right, wrong or "" when it was never answered.
func (p *Progress) State(id string) string {
	a, ok := p.Cases[id]
	switch {
	case !ok || a.Tries == 0:
		return ""
	case a.Right:
		return "right"
	}
	return "wrong"
}
