package reginfo

import "time"

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
