BEGIN { FS = "\t" }
$1 "" != key { if (NR > 1) print key "\t" n; key = $1 ""; n = 0 }
{ n++ }
END { if (NR) print key "\t" n }
