// Goose draws its charts for one width and one background; this fits each to its reader's.
(function () {
    var init = echarts.init;
    var scheme = matchMedia('(prefers-color-scheme: dark)');
    var dark = scheme.matches;
    var green = { '#2c664f': '#6cc3a0', '#378063': '#3f8a6e' };

    function recolor(style) {
        if (dark && style && green[style.color]) {
            style.color = green[style.color];
        }
    }

    // Goose's ramp runs from light to dark for the busiest, which dark paper would swallow.
    function lighten(renderItem) {
        return function (params, api) {
            var item = renderItem(params, api);
            item.style.fill = item.style.fill.replace(/([\d.]+)%\)$/, function (_, lightness) {
                return (22 + (64 - lightness) * 50 / 42).toFixed(1) + '%)';
            });
            return item;
        };
    }

    function fit(option, width) {
        var narrow = width < 600;
        option.backgroundColor = 'transparent';
        option.xAxis.axisLabel = { hideOverlap: true };
        option.tooltip.confine = true;
        if (narrow) {
            option.xAxis.splitNumber = 3;
            option.grid = { left: 64, right: 16, top: option.legend ? 64 : 32, bottom: option.grid ? 40 : 72 };
            option.yAxis.nameGap = 44;
            if (option.toolbox) {
                option.toolbox.show = false;
            }
        }
        if (dark && option.color) {
            option.color[0] = green['#2c664f'];
        }
        option.series.forEach(function (series) {
            recolor(series.lineStyle);
            recolor(series.itemStyle);
            recolor(series.areaStyle);
            if (series.areaStyle) {
                series.areaStyle.opacity = 0.3;
            }
            if (dark && series.renderItem) {
                series.renderItem = lighten(series.renderItem);
            }
        });
        return option;
    }

    echarts.init = function (holder) {
        var chart = init.call(echarts, holder, dark ? 'dark' : null);
        var setOption = chart.setOption;
        chart.setOption = function (option, merge) {
            return setOption.call(chart, fit(option, holder.clientWidth), merge);
        };
        addEventListener('resize', function () {
            chart.resize();
        });
        return chart;
    };

    // A chart keeps the theme it was made with, so a change of theme draws the page anew.
    scheme.addEventListener('change', function () {
        location.reload();
    });
})();
