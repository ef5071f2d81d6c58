//! DOS date and time (fatgen103, section 6), taken as UTC.

use image_format::entry::Timestamp;

const DAY: i64 = 86_400;
/// 1980-01-01, the first day there is.
const FIRST: i64 = 3652 * DAY;
/// 2108-01-01, the first that is too late.
const END: i64 = 50_403 * DAY;

/// A moment as three fields: date, time in two seconds, hundredths of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DosTime {
    pub date: u16,
    pub time: u16,
    pub hundredths: u8,
}

impl DosTime {
    /// The moment; one that was never set (or is no date) is the epoch.
    pub(super) fn decode(self) -> Timestamp {
        let (year, month, day) = (
            1980 + i64::from(self.date >> 9),
            i64::from(self.date >> 5 & 15),
            i64::from(self.date & 31),
        );
        if !(1..=12).contains(&month) || day == 0 {
            return Timestamp::default();
        }
        let (hours, minutes) = (i64::from(self.time >> 11), i64::from(self.time >> 5 & 63));
        let rest = u32::from(self.hundredths.min(199));
        let seconds =
            hours.min(23) * 3600 + minutes.min(59) * 60 + i64::from((self.time & 31).min(29)) * 2;
        Timestamp {
            seconds: days_from_date(year, month, day) * DAY + seconds + i64::from(rest / 100),
            nanoseconds: rest % 100 * 10_000_000,
        }
    }

    /// The field values nearest below a moment; outside of 1980 to 2107 the
    /// nearest there is, and nothing at all for the epoch.
    pub(super) fn encode(moment: Timestamp) -> Self {
        if moment == Timestamp::default() {
            return Self::default();
        }
        let (seconds, nanoseconds) = match moment.seconds {
            early if early < FIRST => (FIRST, 0),
            late if late >= END => (END - 1, 999_999_999),
            seconds => (seconds, moment.nanoseconds),
        };
        let (year, month, day) = date_from_days(seconds / DAY);
        let second = seconds % DAY;
        let date = ((year - 1980) << 9) | (month << 5) | day;
        let (hours, minutes) = (second / 3600, second / 60 % 60);
        let time = (hours << 11) | (minutes << 5) | (second % 60 / 2);
        let hundredths = second % 2 * 100 + i64::from(nanoseconds / 10_000_000);
        Self {
            date: u16::try_from(date).unwrap_or(0),
            time: u16::try_from(time).unwrap_or(0),
            hundredths: u8::try_from(hundredths).unwrap_or(199),
        }
    }
}

/// Days since 1970 of a date in the Gregorian calendar, from 1980 on.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The inverse of [`days_from_date`].
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_survives_and_known_days_are_right() {
        for day in 3652..50_403 {
            let moment = Timestamp {
                seconds: day * DAY + day % DAY,
                nanoseconds: 990_000_000,
            };
            assert_eq!(DosTime::encode(moment).decode(), moment);
        }
        let day = Timestamp {
            seconds: 1_709_210_096,
            nanoseconds: 0,
        };
        let fields = DosTime {
            date: 44 << 9 | 2 << 5 | 29,
            time: 12 << 11 | 34 << 5 | 28,
            hundredths: 0,
        };
        assert_eq!(DosTime::encode(day), fields);
    }

    #[test]
    fn no_field_value_panics_and_what_is_outside_is_clamped() {
        for date in 0..=u16::MAX {
            let moment = DosTime {
                date,
                time: date.wrapping_mul(7),
                hundredths: 255,
            }
            .decode();
            assert!(moment.seconds >= 0 && moment.nanoseconds < 1_000_000_000);
        }
        assert_eq!(
            DosTime::encode(Timestamp {
                seconds: 5,
                nanoseconds: 0
            })
            .decode()
            .seconds,
            FIRST
        );
        assert_eq!(
            DosTime::encode(Timestamp {
                seconds: i64::MAX,
                nanoseconds: 0
            })
            .decode()
            .seconds,
            END - 1
        );
        assert_eq!(
            DosTime::encode(Timestamp {
                seconds: i64::MIN,
                nanoseconds: 0
            })
            .decode()
            .seconds,
            FIRST
        );
    }
}
