/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/bucket: the rate is kept over any stretch of time.
 */
#include "cdn/bucket.h"
#include "t/lib/unit.h"

Test(bucket, full_at_first_then_by_the_rate)
{
	struct bucket b;

	bucket_init(&b, 1000, 500, 0);
	CHECK_INT(bucket_take(&b, 500, 0), 0);
	CHECK_INT(bucket_take(&b, 100, 0), 100001);
	CHECK_INT(bucket_take(&b, 100, 100001), 0);
}

Test(bucket, no_rate_is_no_limit)
{
	struct bucket b;

	bucket_init(&b, 0, 1, 0);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(bucket_take(&b, 1 << 20, 0), 0);
}

Test(bucket, average_holds_over_many_takes)
{
	struct bucket b;
	mono_us now = 0;
	uint64_t taken = 0;

	bucket_init(&b, 1000000, 1 << 20, now);
	while (now < 100 * DUR_S) {
		dur_us wait = bucket_take(&b, 300000, now);

		if (wait == 0)
			taken += 300000;
		else
			now += wait;
	}
	CHECK(taken <= 100000000 + (1 << 20));
	CHECK(taken >= 100000000 - 300000);
}

Test(bucket, a_take_over_the_burst_is_debt)
{
	struct bucket b;

	bucket_init(&b, 1000, 100, 0);
	CHECK_INT(bucket_take(&b, 1100, 0), 0);
	CHECK_INT(bucket_take(&b, 100, DUR_S), 100001);
	CHECK_INT(bucket_take(&b, 100, 1100000), 0);
}

Test(bucket, rate_changes_at_once_and_time_never_goes_back)
{
	struct bucket b;

	bucket_init(&b, 100, 1000, 0);
	CHECK_INT(bucket_take(&b, 1000, 0), 0);
	bucket_set_rate(&b, 1000, DUR_S); /* 100 came in */
	CHECK_INT(bucket_take(&b, 1000, DUR_S), 900001);
	CHECK(bucket_take(&b, 1000, 0) > 0);
	CHECK_INT(bucket_take(&b, 1000, DUR_S + 900001), 0);
}

Test(bucket, what_is_given_back_can_be_taken_and_no_more)
{
	struct bucket b;

	bucket_init(&b, 1000, 1000, 0);
	CHECK_INT(bucket_take(&b, 600, 0), 0);
	bucket_return(&b, 5000);
	CHECK_INT(bucket_take(&b, 1000, 0), 0);
	CHECK(bucket_take(&b, 1, 0) > 0);
}
