-- brief: store: sizes and zeros of tensors along the depth
-- A tensor in one tenth of the depth of the networks of a collection (0: the first layers, 9: the last): over how
-- many layers of how many networks, and the means over them of its mean, standard deviation, L2 norm, and fractions
-- of positive and of zero elements (0..1); `non_finite` is the share of its elements that are not finite.
-- parameter: collection TEXT 'all' the collection, or 'all'
-- parameter: tensor TEXT 'all' the tensor, such as T1_D, or 'all'
WITH placed AS (
    SELECT *, 1 + max(layer) OVER (PARTITION BY collection, arch) AS layers
    FROM summaries
    WHERE $collection IN ('all', collection) AND $tensor IN ('all', tensor)
)
SELECT
    collection,
    tensor,
    (10 * layer // layers)::INTEGER AS depth,
    count(DISTINCT arch) AS networks,
    count(*) AS instances,
    avg(mean) AS mean,
    avg(std) AS std,
    avg(l2) AS l2,
    avg(fraction_positive) AS fraction_positive,
    avg(fraction_zero) AS fraction_zero,
    sum(non_finite) / sum(numel) AS non_finite
FROM placed
GROUP BY ALL
ORDER BY collection, tensor, depth
