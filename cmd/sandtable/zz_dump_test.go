package main
import ("testing";"context";"encoding/json";"os";"strings";"github.com/sandtable-dev/sandtable/scenarios")
func TestZZDump(t *testing.T){
 a:=strings.Split(os.Getenv("DUMP"),"|")
 if a[0]==""{t.Skip()}
 s,err:=scenarios.LoadWorld(a[0],a[1:]...)
 if err!=nil{t.Fatal(err)}
 e,err:=studied(context.Background(),s)
 if err!=nil{t.Fatal(err)}
 b,_:=json.MarshalIndent(e.Doc,"","  ")
 os.WriteFile("/tmp/doc.json",b,0o644)
 for k,v:=range e.Prompts{ t.Log(k,len(v)) }
}
